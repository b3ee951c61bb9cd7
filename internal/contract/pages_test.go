package contract

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const password = "a long passphrase"

// The seed's last diagram, arrow by arrow, in a browser: a page with a token, signing in, the dashboard, the tickets, a
// session that ends meanwhile, the way to signing in and back.
func TestSignInStoryInBrowser(t *testing.T) {
	s := serve(t, t.TempDir())
	s.signUp("ada")
	b := s.open(t)

	b.visit("/login")
	if !b.is(`document.querySelector("main [name=csrf_token]").value.length === 64`) {
		t.Error("the page for signing in has no token")
	}
	b.fill("email", "ada@example.org")
	b.fill("password", "wrong")
	b.goes("main form button", "/login")
	b.shows("#faults", "The e-mail address or the password is wrong.")
	if !b.is(`document.querySelector("[name=email]").value === "ada@example.org"`) {
		t.Error("the address was not kept")
	}
	b.fill("password", password)
	b.goes("main form button", "/dashboard")
	if c := b.cookie("session"); c == nil || !c.HTTPOnly || c.SameSite != network.CookieSameSiteLax {
		t.Errorf("the session's cookie: %+v", c)
	}
	if b.cookie("pre") != nil {
		t.Error("the pre-session outlives the sign-in")
	}
	if !b.is(`document.querySelectorAll("form[method=post]").length > 0 && [...document.querySelectorAll("form[method=post]")].every(f => f.csrf_token.value.length === 64)`) {
		t.Error("a form of the dashboard has no token")
	}
	b.goes(`nav a[href="/tickets"]`, "/tickets")

	// Meanwhile the session ends elsewhere.
	ada := s.signIn("ada@example.org", password)
	old := b.cookie("session").Value
	ada.must(t, 204, "DELETE", "/api/users/me/sessions", nil)
	if at, status := b.visit("/tickets"); at != "/login?next=%2Ftickets" || status != 200 {
		t.Errorf("without a session /tickets leads to %s with %d", at, status)
	}
	b.fill("email", "ada@example.org")
	b.fill("password", password)
	b.goes("main form button", "/tickets")
	if b.cookie("session").Value == old {
		t.Error("the session was not issued again")
	}
	b.goes(`a[href="/dashboard"]`, "/dashboard")

	// A sign-in leads nowhere else.
	for _, next := range []string{"//evil.example", `/\evil.example`, "https:evil.example", "/%09/evil.example", "javascript:alert(1)", "/\r\nX: y", "/api/users/signout"} {
		if at, _ := b.visit("/login?next=" + escaped(next)); at != "/dashboard" {
			t.Errorf("next=%q leads to %s", next, at)
		}
	}
	b.goes(".who form button", "/")
	b.shows("#notice", "You are signed out.")
	if at, _ := b.visit("/dashboard"); at != "/login?next=%2Fdashboard" {
		t.Errorf("after signing out /dashboard leads to %s", at)
	}
	b.calm()
}

// cookie returns a cookie of the server's, nil if there is none.
func (b *tab) cookie(name string) (found *network.Cookie) {
	b.t.Helper()
	all, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{b.url}})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range all.Cookies {
		if c.Name == name {
			found = c
		}
	}
	return found
}

// The seed's diagram of signing up: faults beside their fields, a taken address, an account.
func TestSignUpInBrowser(t *testing.T) {
	s := serve(t, t.TempDir())
	s.signUp("ada")
	b := s.open(t)
	b.visit("/signup")
	try := func(email, pass string) {
		ask[bool](b, `document.querySelector("main form").noValidate = true`)
		b.fill("email", email)
		b.fill("name", "Bob")
		b.fill("password", pass)
		b.goes("main form button", "/signup")
	}
	try("nonsense", "short")
	b.shows("#e-email", "Enter an e-mail address")
	b.shows("#e-password", "8")
	if !b.is(`document.querySelector("[name=name]").value === "Bob" && document.querySelector("[name=password]").value === "" && document.querySelector("[name=email]").getAttribute("aria-invalid") === "true"`) {
		t.Error("the form lost what was entered, or kept the password")
	}
	try("Ada@Example.org", password)
	b.shows("#e-email", "already in use")
	b.fill("email", "bob@example.org")
	b.fill("password", password)
	b.goes("main form button", "/dashboard")
	b.shows("#notice", "Welcome")
	b.shows(".who", "Bob")
	b.calm()
}

// Whoever has the link from the server's first lines makes the first operator.
func TestSetupInBrowser(t *testing.T) {
	s := serveWith(t, t.TempDir(), nil)
	link := "/setup?token=" + setupToken(t, s)
	b := s.open(t)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 360} {
			b.dress(width, theme)
			b.visit(link)
			b.inspect(fmt.Sprintf("/setup (%s, %d px)", theme, width))
			b.picture(fmt.Sprintf("setup-%s-%d", theme, width))
		}
	}
	b.fill("email", operatorEmail)
	b.fill("name", "Olga")
	b.fill("password", operatorPassword)
	b.goes("main form button", "/plugins")
	b.shows(".who", "Olga")
	if _, status := b.visit(link); status != 403 {
		t.Errorf("the link again: %d", status)
	}
}

// Everything that matters works when scripts are off.
func TestPagesWithoutScripts(t *testing.T) {
	s := serve(t, t.TempDir())
	b, op := s.open(t), s.open(t)
	b.without()
	op.without()
	b.visit("/signup")
	b.fill("email", "eve@example.org")
	b.fill("name", "Eve")
	b.fill("password", password)
	b.goes("main form button", "/dashboard")
	b.visit("/new")
	b.fill("title", "A first post")
	b.fill("body", "With a\nbody of two lines.")
	b.goes("main form button", "/posts/*")
	b.shows("#notice", "on its way")
	post := b.at()
	b.fill("text", "A comment, too.")
	b.goes("#reply form button", post+"?comment=*")
	b.shows(".thread", "A comment, too.")
	b.goes(`.thread a[href^="?reply="]`, post+"?reply=*")
	b.shows("#reply-title", "Reply to Eve")
	b.fill("text", "A reply.")
	b.goes("#reply form button", post+"?comment=*")
	b.shows(".thread .level1", "A reply.")
	b.goes(`.thread .level1 a[href$="/edit"]`, "/posts/*")
	b.fill("text", " ")
	b.goes("main form button", "/posts/*")
	b.shows("#faults", "Enter a text.")
	b.fill("text", "A better reply.")
	b.goes("main form button", post+"?comment=*")
	b.shows(".thread .level1", "A better reply.")
	b.goes(`.thread .level1 a[href$="/delete"]`, "/posts/*")
	b.goes("main form button", post)
	b.shows("#notice", "It is deleted.")

	spam := s.signIn("eve@example.org", password).must(t, 201, "POST", "/api/posts", map[string]string{"title": "SUBSCRIBE", "body": "Please subscribe to my channel http://spam.example"}).str("id")
	wait(t, "the post is rejected", func() bool {
		b.visit("/posts/" + spam)
		return b.is(`!!document.querySelector('a[href^="/appeal"]')`)
	})
	b.goes(`a[href^="/appeal"]`, "/appeal?post="+spam)
	b.fill("text", "It is about a television channel.")
	b.goes("main form button", "/tickets/*")
	b.shows("#notice", "Your appeal is open.")
	ticket := strings.TrimPrefix(b.at(), "/tickets/")

	op.signIn(operatorEmail, operatorPassword)
	op.visit("/queue?kind=appeal")
	op.goes(`#waiting a[href^="/queue/`+ticket+`"]`, "/queue/"+ticket+"?kind=appeal")
	op.shows("mark", "subscribe to")
	op.goes(`form[action*="/claim"] button`, "/queue/"+ticket+"?kind=appeal")
	op.shows("#lease", "yours until")
	op.fill("text", "Looks fine to me.")
	op.goes(`form[action*="/notes"] button`, "/queue/"+ticket+"?kind=appeal")
	op.shows(".timeline", "Looks fine to me.")
	op.fill("note", "It is fine.")
	op.goes(`button[value=approve]`, "/queue?kind=appeal")
	op.shows("#notice", "decided")
	wait(t, "the post is published", func() bool {
		b.visit("/dashboard")
		return b.is(`document.body.textContent.includes("is published now")`)
	})
	b.calm()
	op.calm()
}

// The queue from the keyboard alone, and live: what somebody else decides disappears by itself.
func TestQueueByKeyboard(t *testing.T) {
	s := serve(t, t.TempDir())
	ada, post := thread(t, s, "ada")
	op := s.operator()
	b := s.open(t)
	b.signIn(operatorEmail, operatorPassword)
	b.visit("/queue")
	b.shows(".side", "Nothing waits here.")
	listens := func() {
		wait(t, "the page listens", func() bool { return b.is(`document.body.dataset.live === "leads"`) })
	}
	listens()
	var tickets []string
	for i := range 3 {
		c := ada.must(t, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": fmt.Sprintf("Comment %d.", i)}).str("id")
		until(t, ada, "/api/posts/"+post+"/comments/"+c, "approved")
		tickets = append(tickets, op.must(t, 201, "POST", "/api/tickets", map[string]string{"kind": "report", "subjectKind": "comment", "subject": c, "postId": post, "text": "Please look."}).str("id"))
	}
	wait(t, "the queue fills by itself", func() bool { return b.is(`document.querySelectorAll("#waiting ol > li").length === 3`) })
	b.run(chromedp.KeyEvent("?"), chromedp.WaitVisible(chromedp.CSS("#keys")), chromedp.KeyEvent(kb.Escape), chromedp.WaitNotVisible(chromedp.CSS("#keys")))
	press := func(key, to string) {
		t.Helper()
		b.run(chromedp.KeyEvent(key))
		b.arrives(to)
	}
	press("j", "/queue/"+tickets[0])
	press("j", "/queue/"+tickets[1])
	press("k", "/queue/"+tickets[0])
	b.run(chromedp.KeyEvent("c"))
	b.shows("#lease", "min left")
	press("a", "/queue/"+tickets[1]) // approves, and goes on
	press("r", "/queue/"+tickets[2])
	b.run(chromedp.KeyEvent("e"))
	wait(t, "the field for the reason has the focus", func() bool { return b.is(`document.activeElement.id === "f-why"`) })
	b.run(chromedp.KeyEvent("Too hard for me."))
	b.run(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	b.shows("#notice", "escalated")
	for i, want := range []string{"approve", "reject"} {
		if r := op.must(t, 200, "GET", "/api/tickets/"+tickets[i], nil); r.str("outcome") != want {
			t.Errorf("ticket %d: %s", i, r.raw)
		}
	}
	b.visit("/queue")
	listens()
	op.must(t, 200, "POST", "/api/tickets/"+tickets[2]+"/decide", map[string]string{"outcome": "approve"})
	b.shows(".side", "Nothing waits here.")
	b.calm()
}

// Two tabs share one stream, and a thread shows what others write while it is open.
func TestThreadIsLive(t *testing.T) {
	s := serve(t, t.TempDir())
	ada, post := thread(t, s, "ada")
	b := s.open(t)
	b.signIn("ada@example.org", password)
	b.visit("/posts/" + post)
	other := b.another()
	other.visit("/posts/" + post)
	wait(t, "one tab holds the stream", func() bool { return b.is(`document.body.dataset.live === "leads"`) })
	ada.must(t, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": "Hello from elsewhere."})
	b.shows(".thread", "Hello from elsewhere.")
	other.shows(".thread", "Hello from elsewhere.")
	if locks := ask[[]int](b, `navigator.locks.query().then(l => [l.held.length, l.pending.length])`); locks[0] != 1 || locks[1] != 1 {
		t.Errorf("tabs that hold the stream, and that wait for it: %v", locks)
	}
	b.calm()
}

// Texts from users are texts, wherever they are shown.
func TestTextsAreTexts(t *testing.T) {
	s := serve(t, t.TempDir())
	const nasty = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>{{7*7}}</textarea><svg onload=alert(1)>`
	name := `<b onclick=alert(1)>"'&x`
	s.client().must(t, 201, "POST", "/api/users/signup", map[string]string{"email": "mal@example.org", "name": name, "password": password})
	mal := s.signIn("mal@example.org", password)
	op := s.operator()
	post := mal.must(t, 201, "POST", "/api/posts", map[string]string{"title": nasty[:min(200, len(nasty))], "body": nasty}).str("id")
	until(t, mal, "/api/posts/"+post, "approved")
	comment := mal.must(t, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": nasty}).str("id")
	until(t, mal, "/api/posts/"+post+"/comments/"+comment, "approved")
	report := mal.must(t, 201, "POST", "/api/tickets", map[string]string{"kind": "report", "subjectKind": "comment", "subject": comment, "postId": post, "text": nasty}).str("id")
	help := mal.must(t, 201, "POST", "/api/tickets", map[string]string{"kind": "support", "text": nasty}).str("id")
	op.must(t, 200, "POST", "/api/tickets/"+help+"/notes", map[string]any{"text": nasty, "visible": true})
	b := s.open(t)
	b.signIn("mal@example.org", password)
	paths := []string{"/", "/posts/" + post, "/posts/" + post + "?reply=" + comment, "/posts/" + post + "/edit", "/posts/" + post + "/delete",
		"/search?q=" + escaped(nasty[:60]), "/search?q=script", "/dashboard", "/dashboard/posts", "/dashboard/comments", "/dashboard/notices", "/account", "/tickets", "/tickets/" + help,
		"/report?post=" + post + "&comment=" + comment, "/login?again=1&next=" + escaped(nasty[:40]), "/nothing/" + escaped("<script>")}
	b.texts(paths)
	b.visit("/tickets")
	b.goes(".who form button", "/")
	b.signIn(operatorEmail, operatorPassword)
	b.texts([]string{"/queue", "/queue/" + report, "/queue/" + help, "/plugins"})
	b.calm()
}

// texts visits pages and looks for elements that no template of ours makes.
func (b *tab) texts(paths []string) {
	b.t.Helper()
	for _, p := range paths {
		b.visit(p)
		if !b.is(`document.querySelectorAll("main script, main img, main svg, b[onclick], [onerror], [onload], body style").length === 0 && document.querySelector("main") !== null`) {
			b.t.Errorf("%s has an element that a user wrote", p)
		}
	}
}

// A first visit loads at most 60 KB.
func TestFirstLoadIsSmall(t *testing.T) {
	s := serve(t, t.TempDir())
	ada, _ := thread(t, s, "ada")
	for i := range 20 {
		ada.must(t, 201, "POST", "/api/posts", map[string]string{"title": fmt.Sprintf("Thread %d", i), "body": strings.Repeat("Some more words about nothing much. ", 20)})
	}
	b := s.open(t)
	b.visit("/")
	sum := ask[float64](b, `performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation")).reduce((n, e) => n + e.transferSize, 0)`)
	t.Logf("%.1f KB", sum/1000)
	if sum < 20_000 || sum > 60_000 {
		t.Errorf("the first page and its files take %.0f bytes", sum)
	}
	b.calm()
}
