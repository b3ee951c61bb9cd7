package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ticketing"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/rules"
)

// An operator uploads a module in the browser, activates it, sees what is wrong with a config or with labels beside it, starts a
// backtest, rolls back and retires; the same works without scripts.
func TestPluginsInBrowser(t *testing.T) {
	s := serve(t, t.TempDir())
	dir := t.TempDir()
	file := func(name string, code []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, code, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := file("good.wasm", hosttest.ApproveAll), file("bad.wasm", []byte("this is no module"))
	labels, noLabels := file("labels.csv", []byte("key,label\nk,spam\n")), file("texts.csv", []byte("text\nhello\n"))
	for _, scripts := range []bool{true, false} {
		b := s.open(t)
		name := "fromform"
		if scripts {
			name = "fromscript"
		} else {
			b.without()
		}
		b.signIn(operatorEmail, operatorPassword)
		look := func(what string) {
			t.Helper()
			if !scripts {
				return
			}
			for _, width := range []int64{1280, 360} {
				b.dress(width, "light")
				b.inspect(fmt.Sprintf("%s (%d px)", what, width))
				b.picture(fmt.Sprintf("%s-light-%d", strings.ReplaceAll(what, " ", "-"), width))
			}
		}
		upload := func(file string) {
			t.Helper()
			b.visit("/plugins")
			b.fill("name", name)
			b.choose("#f-file", file)
			b.run(chromedp.Click(chromedp.CSS("#upload button"), chromedp.NodeVisible))
		}
		upload(bad)
		if scripts {
			b.shows("#notice .bad", "odule")
		} else {
			b.shows("#e-file", "odule")
		}
		upload(good)
		b.arrives("/plugins/" + name)
		b.shows("#notice", "It judges nothing until you activate it.")
		b.fill("config", "{nonsense")
		b.goes("form[action$='/rule'] button", "/plugins/"+name+"/rule")
		b.shows("#e-config", "This is not valid JSON.")
		if !b.is(`document.querySelector("#f-config").value === "{nonsense"`) {
			t.Error("the config was not kept")
		}
		b.fill("config", "{}")
		b.fill("limits.fuel", "20000000")
		b.goes("form[action$='/rule'] button", "/plugins/"+name)
		b.shows("h1", "active: v1")
		b.shows("[id='h-limits.fuel']", "holds: 20\u202f000\u202f000; up to 200\u202f000\u202f000")
		look("limits")
		b.choose("#f-labels", noLabels)
		b.goes("form button[formaction$='/backtest']", "/plugins/"+name+"/backtest")
		b.shows("#e-labels", "there is no column label")
		look("wrong labels")
		b.choose("#f-labels", labels)
		b.goes("form button[formaction$='/backtest']", "/plugins/backtests/*")
		b.shows("main", "It was given 1 label.")
		if scripts {
			b.shows(".badge", "done") // the page loads itself again then, which would come between it and the next one
		}
		b.visit("/plugins/" + name)
		b.goes("a[href$='/retire']", "/plugins/"+name+"/change/retire")
		b.shows("main", "judges no more")
		b.goes("main form button", "/plugins/"+name)
		b.shows("h1", "retired")
		b.goes("a[href$='/rollback']", "/plugins/"+name+"/change/rollback")
		b.goes("main form button", "/plugins/"+name)
		b.shows("h1", "active: v1")
		b.visit("/plugins/links") // a built-in rule of which nothing has judged yet
		b.goes("a[href$='#p-rule']", "/plugins/links?*")
		b.shows("#h-config", "the one that the built-in rule comes with")
		if !scripts { // it is of use as it comes
			b.goes("form[action$='/rule'] button", "/plugins/links")
			b.shows("h1", "active: v1")
			r := s.operator().must(t, 200, "GET", "/api/rules/links", nil)
			var active ticketing.Digest
			var own any
			if active.UnmarshalText([]byte(r.str("active"))) != nil || json.Unmarshal(rules.ConfigOf(active), &own) != nil || !reflect.DeepEqual(r.body["config"], own) {
				t.Errorf("it judges with %s", r.raw)
			}
		}
		b.calm()
	}
}

// choose puts a file into a field.
func (b *tab) choose(selector, path string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.SetUploadFiles(chromedp.CSS(selector), []string{path})); err != nil {
		b.fatal(err)
	}
}
