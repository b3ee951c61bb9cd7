package gateway

import (
	"net/http"
)

// entrance is what the pages for signing in and up show.
type entrance struct {
	Email, Name string
	Next        string // where to go afterwards
}

// entering reads what both pages share. Who is signed in already goes on at once.
func (g *Gateway) entering(c *call) (in entrance, there bool, err error) {
	next, err := c.query("next")
	if err != nil {
		return in, false, err
	}
	in.Next = g.safeNext(next)
	return in, c.who != nil, nil
}

func (g *Gateway) signInPage(c *call) error {
	in, there, err := g.entering(c)
	if err != nil {
		return err
	}
	if there {
		return c.seeOther(in.Next)
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
	if _, err := g.register(c, account); err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showSignUp(c, status, in, f) })
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
