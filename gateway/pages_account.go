package gateway

import (
	"net/http"
	"time"

	"ticketing"
)

// entrance is what the pages for signing in and up show.
type entrance struct {
	Email, Name string
	Next        string // where to go afterwards
	Token       string // of a link
	Again       bool   // somebody who is signed in proves it once more
}

// entering reads what both pages share. Who is signed in already goes on at once, unless the password is wanted again.
func (g *Gateway) entering(c *call) (in entrance, there bool, err error) {
	next, err := c.query("next")
	if err != nil {
		return in, false, err
	}
	again, err := c.query("again")
	in.Next, in.Again = g.safeNext(next), again != "" && c.who != nil
	return in, c.who != nil && !in.Again, err
}

func (g *Gateway) signInPage(c *call) error {
	in, there, err := g.entering(c)
	if err != nil {
		return err
	}
	if there {
		return c.seeOther(in.Next)
	}
	if in.Again {
		in.Email = c.who.email
	}
	return g.showSignIn(c, http.StatusOK, in, nil)
}

func (g *Gateway) showSignIn(c *call, status int, in entrance, f *faults) error {
	return g.render(c, status, "login.html", view{Title: "Sign in", Tab: "login", Faults: f, Data: &in})
}

func (g *Gateway) signInForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	in := entrance{Email: f.get("email"), Next: g.safeNext(f.get("next"))}
	if _, err := g.admit(c, credentials{Email: in.Email, Password: f.get("password")}); err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showSignIn(c, status, in, f) })
	}
	g.writeCookie(c, g.preName(), "", -1)
	return c.seeOther(in.Next)
}

func (g *Gateway) signUpPage(c *call) error {
	in, there, err := g.entering(c)
	if err != nil {
		return err
	}
	if there {
		return c.seeOther(in.Next)
	}
	return g.showSignUp(c, http.StatusOK, in, nil)
}

func (g *Gateway) showSignUp(c *call, status int, in entrance, f *faults) error {
	return g.render(c, status, "signup.html", view{Title: "Create an account", Tab: "signup", Faults: f, Data: &in})
}

func (g *Gateway) signUpForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	in := entrance{Email: f.get("email"), Name: f.get("name"), Next: g.safeNext(f.get("next"))}
	account := newAccount{credentials{Email: in.Email, Password: f.get("password")}, in.Name}
	u, err := g.register(c, account)
	if err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showSignUp(c, status, in, f) })
	}
	if u.ID.IsZero() {
		return g.say(c, "Check your mail", checkMailText)
	}
	g.writeCookie(c, g.preName(), "", -1)
	return c.seeNotice(in.Next, "welcome")
}

func (g *Gateway) signOutForm(c *call) error {
	if err := g.leave(c); err != nil {
		return err
	}
	return c.seeNotice("/", "signed-out")
}

// say answers with a page that only says something.
func (g *Gateway) say(c *call, title, text string) error {
	return g.render(c, http.StatusOK, "message.html", view{Title: title, Data: text})
}

// linked reads the token of the link that led to a page.
func linked(c *call) (entrance, error) {
	token, err := c.query("token")
	return entrance{Token: token}, err
}

// resetPage asks for an address, or with the token of a link for a new password.
func (g *Gateway) resetPage(c *call) error {
	in, err := linked(c)
	if err != nil {
		return err
	}
	return g.showReset(c, http.StatusOK, in, nil)
}

func (g *Gateway) showReset(c *call, status int, in entrance, f *faults) error {
	return g.render(c, status, "reset.html", view{Title: "Set a new password", Faults: f, Data: &in})
}

func (g *Gateway) resetForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	in := entrance{Email: f.get("email"), Token: f.get("token")}
	if in.Token == "" {
		if err := g.askReset(c, in.Email); err != nil {
			return g.showAgain(c, err, func(status int, f *faults) error { return g.showReset(c, status, in, f) })
		}
		return g.say(c, "Check your mail", resetText)
	}
	if _, err := g.resetPassword(c, in.Token, f.get("password")); err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showReset(c, status, in, f) })
	}
	return c.seeNotice("/login", "reset")
}

// verifyPage has a button: programs that look at links in mails before their readers do must not use the token up.
func (g *Gateway) verifyPage(c *call) error {
	in, err := linked(c)
	if err != nil {
		return err
	}
	return g.showVerify(c, http.StatusOK, in, nil)
}

func (g *Gateway) showVerify(c *call, status int, in entrance, f *faults) error {
	return g.render(c, status, "verify.html", view{Title: "Confirm your e-mail address", Faults: f, Data: &in})
}

func (g *Gateway) verifyForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	in := entrance{Token: f.get("token")}
	if _, err := g.verifyEmail(c, in.Token); err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showVerify(c, status, in, f) })
	}
	return c.seeNotice(home, "verified")
}

func (g *Gateway) setupPage(c *call) error {
	in, err := linked(c)
	if err != nil {
		return err
	}
	if !g.setupOpen(in.Token) {
		return errSetup
	}
	return g.showSetup(c, http.StatusOK, in, nil)
}

func (g *Gateway) showSetup(c *call, status int, in entrance, f *faults) error {
	return g.render(c, status, "setup.html", view{Title: "Make the first operator", Faults: f, Data: &in})
}

func (g *Gateway) setupForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	in := entrance{Email: f.get("email"), Name: f.get("name"), Token: f.get("token")}
	account := newAccount{credentials{Email: in.Email, Password: f.get("password")}, in.Name}
	if _, err := g.claimSetup(c, in.Token, account); err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showSetup(c, status, in, f) })
	}
	g.writeCookie(c, g.preName(), "", -1)
	return c.seeNotice("/plugins", "welcome")
}

// accountView is what the page of one's own account shows.
type accountView struct {
	Email    string
	Name     string
	Verified bool
	CanMail  bool
	Since    time.Time
	Sessions []sessionView
}

func (g *Gateway) accountPage(c *call) error { return g.showAccount(c, http.StatusOK, c.who.name, nil) }

func (g *Gateway) showAccount(c *call, status int, name string, f *faults) error {
	sessions, err := g.sessionsOf(c)
	if err != nil {
		return err
	}
	out := accountView{c.who.email, name, c.who.verified, g.canMail(), c.who.user.Time(), sessions}
	return g.render(c, status, "account.html", view{Title: "Your account", Tab: "dashboard", Faults: f, Data: &out})
}

// accountForm shows the page of the account again if an act fails on what was entered.
func (g *Gateway) accountForm(c *call, name string, err error, done string) error {
	if err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showAccount(c, status, name, f) })
	}
	return c.seeNotice("/account", done)
}

func (g *Gateway) nameForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	_, err = g.rename(c, meta, f.get("name"))
	return g.accountForm(c, f.get("name"), err, "name")
}

func (g *Gateway) passwordForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	_, _, err = g.changePassword(c, f.get("current"), f.get("new"))
	return g.accountForm(c, c.who.name, err, "password")
}

func (g *Gateway) sendLinkForm(c *call) error {
	return g.accountForm(c, c.who.name, g.sendVerification(c.who.user), "sent")
}

// endSessionForm ends one session of the user's own, or all, or all others.
func (g *Gateway) endSessionForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	switch which := f.get("session"); which {
	case "others":
		err = g.revokeOthers(c)
	case "all":
		if err = g.revokeAll(c); err == nil {
			return c.seeNotice("/login", "ended-all")
		}
	default:
		var id ticketing.ID
		if id, err = ticketing.ParseID(which); err != nil {
			return notFound()
		}
		err = g.revokeOne(c, id)
	}
	return g.accountForm(c, c.who.name, err, "ended")
}

func (g *Gateway) removeAccountForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	if err := g.removeAccount(c, f.get("password")); err != nil {
		return g.accountForm(c, c.who.name, err, "")
	}
	return c.seeNotice("/", "removed")
}
