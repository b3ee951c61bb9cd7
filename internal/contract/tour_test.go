package contract

import (
	"fmt"
	"testing"

	"ticketing/plugins/host/hosttest"
)

// Every page, light and dark, narrow and wide: axe finds nothing, and nothing sticks out of the window. With -images it
// leaves pictures.
func TestEveryPageIsAccessible(t *testing.T) {
	s := serve(t, t.TempDir())
	w := furnish(t, s)
	for _, theme := range []string{"light", "dark"} {
		for _, who := range []struct {
			name, email, password string
			pages                 [][2]string
		}{
			{"anybody", "", "", [][2]string{{"feed", "/"}, {"login", "/login"}, {"signup", "/signup"}, {"reset", "/reset"}, {"verify", "/verify?token=x"},
				{"search", "/search?q=garden"}, {"nothing-found", "/search?q=zebra"}, {"not-found", "/nothing"}}},
			{"user", "mira@example.org", password, [][2]string{{"my-feed", "/"}, {"new", "/new"}, {"thread", "/posts/" + w.post}, {"reply", "/posts/" + w.post + "?reply=" + w.comment},
				{"rejected", "/posts/" + w.spam}, {"edit", "/posts/" + w.spam + "/edit"}, {"delete", "/posts/" + w.spam + "/delete"}, {"dashboard", "/dashboard"},
				{"my-posts", "/dashboard/posts"}, {"my-comments", "/dashboard/comments"}, {"notices", "/dashboard/notices"}, {"account", "/account"},
				{"tickets", "/tickets"}, {"ticket", "/tickets/" + w.help}, {"ask", "/ask"}, {"report", "/report?post=" + w.post}, {"appeal", "/appeal?post=" + w.spam}, {"forbidden", "/queue"}}},
			{"operator", operatorEmail, operatorPassword, [][2]string{{"queue", "/queue"}, {"review", "/queue/" + w.held}, {"review-help", "/queue/" + w.help}, {"plugins", "/plugins"}, {"plugin", "/plugins/spam"},
				{"agreement", "/plugins/spam/agreement"}, {"cost", "/plugins/spam/cost"}, {"log", "/plugins/spam/logs"}, {"playground", "/plugins/spam/try"}, {"shadow", "/plugins/spam/change/shadow"},
				{"canary", "/plugins/spam/change/canary"}, {"promote", "/plugins/spam/change/promote"}, {"retire", "/plugins/spam/change/retire"},
				{"backtest", "/plugins/backtests/" + w.backtest},
				{"cluster", "/cluster"}, {"drain", "/cluster/n1/drain"}}},
		} {
			b := s.open(t)
			if who.email != "" {
				b.signIn(who.email, who.password)
			}
			for _, width := range []int64{1280, 360} {
				b.dress(width, theme)
				for _, p := range who.pages {
					b.visit(p[1])
					b.inspect(fmt.Sprintf("%s (%s, %d px)", p[1], theme, width))
					b.picture(fmt.Sprintf("%s-%s-%d", p[0], theme, width))
				}
			}
			b.calm()
			b.close()
		}
	}
}

// world is what there is to look at.
type world struct{ post, comment, spam, held, help, backtest string }

// furnish fills a server with what pages show.
func furnish(t *testing.T, s *server) world {
	t.Helper()
	var w world
	people := map[string]*client{}
	for _, n := range []string{"Mira", "Jonas", "Aylin"} {
		people[n] = s.signUpAs(n)
	}
	mira, jonas, aylin, op := people["Mira"], people["Jonas"], people["Aylin"], s.operator()
	write := func(c *client, title, body string) string {
		id := c.must(t, 201, "POST", "/api/posts", map[string]string{"title": title, "body": body}).str("id")
		wait(t, "the post is decided", func() bool { return c.must(t, 200, "GET", "/api/posts/"+id, nil).str("status") != "pending" })
		return id
	}
	say := func(c *client, parent, text string) string {
		id := c.must(t, 201, "POST", "/api/posts/"+w.post+"/comments", map[string]string{"text": text, "parentId": parent}).str("id")
		wait(t, "the comment is decided", func() bool {
			return c.must(t, 200, "GET", "/api/posts/"+w.post+"/comments/"+id, nil).str("status") != "pending"
		})
		return id
	}
	write(aylin, "Night trains: which ones are worth it?", "I have taken the one to Vienna twice and liked it. Has anybody tried the new couchettes? I wonder whether they are quieter, and whether two people can sleep in one compartment without getting into each other's way.")
	write(jonas, "A small tool for tidying up notes", "It reads a folder of text files and lists those that nobody has opened for a year. No network, no accounts. I would like to hear what else it should do.")
	w.post = write(mira, "How do you keep a garden alive in August?", "We are away for two weeks and it has not rained since June. Last year half of the tomatoes died. What works for you: clay pots, drip hoses, or a friendly neighbour?\n\nThe bed is about six square metres and gets sun all day.")
	w.comment = say(jonas, "", "Clay pots, filled and buried up to the neck. They last for about five days, so you still need the neighbour once or twice.")
	reply := say(mira, w.comment, "How many would I need for six square metres?")
	say(jonas, reply, "Four large ones should do. Cover the ground with straw as well; that makes the bigger difference.")
	say(aylin, "", "A drip hose with a cheap timer. Test it for a few days before you leave!")
	w.spam = write(mira, "My new channel", "Please subscribe to my channel http://videos.example")
	push(t, op, "holder", hosttest.HoldAll, nil)
	say(jonas, "", "You could also check out my channel on gardens.")
	op.must(t, 200, "DELETE", "/api/rules/holder", nil, "If-Match", op.must(t, 200, "GET", "/api/rules/holder", nil).header.Get("ETag"))
	w.held = fmt.Sprint(op.must(t, 200, "GET", "/api/tickets?state=open&kind=held", nil).items()[0]["id"])
	aylin.must(t, 201, "POST", "/api/tickets", map[string]string{"kind": "report", "subjectKind": "comment", "subject": w.comment, "postId": w.post, "text": "He says this in every thread."})
	w.backtest = candidates(t, op, func(text string) { say(jonas, "", text) })
	w.help = mira.must(t, 201, "POST", "/api/tickets", map[string]string{"kind": "support", "text": "Can I move a discussion to another title without losing the comments?"}).str("id")
	op.must(t, 200, "POST", "/api/tickets/"+w.help+"/notes", map[string]any{"text": "You can edit the title at any time; the comments stay.", "visible": true})
	return w
}

// signUpAs makes an account with a name as people write it.
func (s *server) signUpAs(name string) *client {
	s.t.Helper()
	s.client().must(s.t, 201, "POST", "/api/users/signup", map[string]string{"email": name + "@example.org", "name": name, "password": password})
	return s.signIn(name+"@example.org", password)
}
