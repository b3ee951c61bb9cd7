package contract

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// images is where the tour of all pages leaves its pictures; without it, it leaves none.
var images = flag.String("images", "", "folder for pictures of every page")

// axe finds faults of accessibility. It is a test's tool and not part of the program.
//
//go:embed testdata/axe.min.js
var axe string

// patience is how long a step in the browser may take.
const patience = 60 * time.Second

// tab is a browser with a profile of its own: nobody is signed in.
type tab struct {
	t      *testing.T
	ctx    context.Context
	url    string
	mu     sync.Mutex
	close  func()
	faults []string // what the console and the content policy complained about
}

// chromium finds the browser that .ci/deps installs.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no chromium: run make deps")
	return ""
}

// open starts a browser. Its flags keep it from the network and from the machine's own profile.
func (s *server) open(t *testing.T) *tab {
	t.Helper()
	alloc, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(chromium(t)), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("lang", "en-GB"),
		chromedp.WindowSize(1280, 900), chromedp.WSURLReadTimeout(time.Minute))
	b := &tab{t: t, url: s.url}
	var closeTab context.CancelFunc
	b.ctx, closeTab = chromedp.NewContext(alloc)
	b.close = func() { closeTab(); stop() }
	t.Cleanup(b.close)
	if err := chromedp.Listen(b.ctx, b.hear); err != nil { // starts the browser, which lives as long as the context
		t.Fatal(err)
	}
	return b
}

// another opens a second tab of the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	o := &tab{t: b.t, url: b.url}
	o.ctx, o.close = chromedp.NewContext(b.ctx)
	b.t.Cleanup(o.close)
	if err := chromedp.Listen(o.ctx, o.hear); err != nil { // the tab lives as long as the context
		b.t.Fatal(err)
	}
	return o
}

// hear notes complaints: scripts that failed, and what the content policy refused.
func (b *tab) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, ev.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if strings.Contains(ev.Entry.Text, "Content Security Policy") || strings.Contains(ev.Entry.Text, "Refused to") {
			b.faults = append(b.faults, ev.Entry.Text)
		}
	case *page.EventJavascriptDialogOpening:
		b.faults = append(b.faults, "a dialog opened: "+ev.Message)
	}
}

// calm fails the test if the browser complained.
func (b *tab) calm() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Errorf("the browser complains: %s", f)
	}
	b.faults = nil
}

// run does things in the tab.
func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.fatal(err)
	}
}

// fatal ends the test with what the tab shows.
func (b *tab) fatal(err error) {
	b.t.Helper()
	at, _ := chromedp.Run(b.ctx, chromedp.Location())
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	b.t.Fatalf("%v\nat %s\n%s", err, at, text)
}

// ask evaluates an expression, or a promise, in the page.
func ask[T any](b *tab, script string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.fatal(err)
	}
	return v
}

// command runs a command of the protocol that returns nothing.
func command[P any](cmd cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, cmd, params)
		return err
	})
}

// visit opens a page, and returns where that led and with which status.
func (b *tab) visit(path string) (at string, status int64) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, chromedp.Navigate(b.url+path))
	if err != nil {
		b.t.Fatalf("%s: %v", path, err)
	}
	if resp != nil {
		status = resp.Status
	}
	return b.at(), status
}

// at returns the path and query of the tab's page.
func (b *tab) at() string {
	b.t.Helper()
	at, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimPrefix(at, b.url)
}

// goes clicks on something and waits until another page is there.
func (b *tab) goes(selector, to string) {
	b.t.Helper()
	b.run(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
	b.arrives(to)
}

// arrives waits until the tab shows a page of a path, which may end with a star.
func (b *tab) arrives(to string) {
	b.t.Helper()
	wait(b.t, "the browser arrives at "+to, func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
		defer cancel()
		at, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.readyState === "complete" ? location.href : ""`))
		if err != nil {
			return false
		}
		at = strings.TrimPrefix(at, b.url)
		prefix, open := strings.CutSuffix(to, "*")
		at, _, _ = strings.Cut(at, "#")
		return at == to || open && strings.HasPrefix(at, prefix)
	})
}

// fill puts a text into a field, in place of what is there.
func (b *tab) fill(name, value string) {
	b.t.Helper()
	sel := fmt.Sprintf(`main [name=%q]`, name)
	if !ask[bool](b, fmt.Sprintf(`(e => { if (e) { e.focus(); e.value = %s; } return e !== null })(document.querySelector(%s))`, quoted(value), quoted(sel))) {
		b.fatal(fmt.Errorf("there is no field %s", name))
	}
}

// shows waits until the page has an element, and for a text in it.
func (b *tab) shows(selector, text string) {
	b.t.Helper()
	script := fmt.Sprintf(`[...document.querySelectorAll(%s)].some(e => e.textContent.includes(%s))`, quoted(selector), quoted(text))
	wait(b.t, fmt.Sprintf("%s says %q", selector, text), func() bool { return b.is(script) })
}

// is evaluates a condition in the page; one that goes away meanwhile is none.
func (b *tab) is(script string) bool {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script))
	return err == nil && yes
}

func quoted(s string) string {
	j, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(j)
}

// signIn signs in through the page.
func (b *tab) signIn(email, password string) {
	b.t.Helper()
	b.visit("/login")
	b.fill("email", email)
	b.fill("password", password)
	b.goes("main form button", "/dashboard")
}

// without turns scripts off.
func (b *tab) without() {
	b.run(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
}

// dress sets the size of the window and the colours.
func (b *tab) dress(width int64, theme string) {
	b.t.Helper()
	b.run(command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1}),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}))
}

// inspect lets axe look at the page, by the rules of WCAG 2.2 AA.
func (b *tab) inspect(what string) {
	b.t.Helper()
	type violation struct {
		ID    string `json:"id"`
		Help  string `json:"help"`
		Nodes []struct {
			Target         []any  `json:"target"`
			HTML           string `json:"html"`
			FailureSummary string `json:"failureSummary"`
		} `json:"nodes"`
	}
	ask[bool](b, axe+";true")
	found := ask[[]violation](b, `axe.run(document, {runOnly: ["wcag2a","wcag2aa","wcag21a","wcag21aa","wcag22aa"]}).then(r => r.violations)`)
	for _, v := range found {
		for _, n := range v.Nodes {
			b.t.Errorf("%s: %s (%s): %v %s\n%s", what, v.Help, v.ID, n.Target, n.HTML, n.FailureSummary)
		}
	}
	if over := ask[float64](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		b.t.Errorf("%s is %v px wider than the window", what, over)
	}
}

// picture keeps what the page looks like, if pictures are wanted.
func (b *tab) picture(name string) {
	b.t.Helper()
	if *images == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*images, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func escaped(s string) string { return url.QueryEscape(s) }
