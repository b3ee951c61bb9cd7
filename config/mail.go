package config

import (
	"net/mail"
	"net/url"
	"strings"
)

// mailFaults says what is wrong with the settings about mail. It never repeats smtp.url, which may hold a password.
func (c Config) mailFaults() (faults []string) {
	fault := func(s string) { faults = append(faults, s) }
	if c.SMTPURL != "" {
		u, err := url.Parse(c.SMTPURL)
		if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			fault("smtp.url: it is not like smtp://user:password@host:587 or smtps://user:password@host:465")
		}
		if c.SMTPFrom == "" {
			fault("smtp.from: name the sender of mails, such as \"Ticketing <noreply@example.org>\"")
		}
		if c.PublicURL == "" && !c.Dev {
			fault("public.url: say what links in mails begin with, such as https://example.org")
		}
	}
	if c.SMTPFrom != "" {
		if _, err := mail.ParseAddress(c.SMTPFrom); err != nil {
			fault("smtp.from: it is not like \"Ticketing <noreply@example.org>\"")
		}
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" ||
			u.Scheme != "https" && !(u.Scheme == "http" && c.Dev) {
			fault("public.url: it is not like https://example.org")
		}
	}
	if c.SignUpStrict && c.SMTPURL == "" && !c.Dev {
		fault("signup.strict: it needs smtp.url, because a new account is confirmed by mail")
	}
	return faults
}
