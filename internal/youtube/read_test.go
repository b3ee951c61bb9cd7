package youtube

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ticketing"
)

const head = columns + "\n"

func TestReadRealFiles(t *testing.T) {
	for name, want := range map[string]struct {
		rows, spam, undated int
		first               string
	}{
		"Youtube01-Psy.csv":       {350, 175, 0, "Huh, anyway check out this you[tube] channel: kobyoshi02"},
		"Youtube02-KatyPerry.csv": {350, 175, 0, "i love this so much. AND also I Generate Free Leads on Auto Pilot & You Can  Too! http://www.MyLeaderGate.com/moretraffic"},
		"Youtube03-LMFAO.csv":     {438, 236, 0, "2:19 http://www.youtube.com/watch?v=KQ6zr6kCPj8&t=2m19s best part"},
		"Youtube04-Eminem.csv":    {448, 245, 245, "+447935454150 lovely girl talk to me xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(filepath.Join("..", "..", "examples", "data", name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			rows, faults, err := Read(f)
			if err != nil || len(faults) > 0 {
				t.Fatalf("error %v, faults %v", err, faults)
			}
			spam, undated := 0, 0
			for _, r := range rows {
				if r.Spam {
					spam++
				}
				if !r.Dated {
					undated++
				}
				if strings.Contains(r.Text, "\ufeff") || strings.Contains(r.Text, "<br") || strings.Contains(r.Text, "&amp;") || r.At.IsZero() {
					t.Errorf("line %d is not clean: %v %q", r.Line, r.At, r.Text)
				}
			}
			if len(rows) != want.rows || spam != want.spam || undated != want.undated || rows[0].Text != want.first {
				t.Errorf("%d rows, %d spam, %d undated, first %q", len(rows), spam, undated, rows[0].Text)
			}
		})
	}
}

func TestText(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"plain\ufeff", "plain"},
		{"a &lt;b&gt; &amp; I&#39;m", "a <b> & I'm"},
		{"one<br /><br>two", "one\n\ntwo"},
		{`<a href="http://x.org/?a=1&amp;t=2">2:19</a> best part`, "2:19 http://x.org/?a=1&t=2 best part"},
		{`<a rel="nofollow" href="http://x.org/">http://x.org/</a>`, "http://x.org/"},
		{"<b>bold</b> <i class='x'>it</i>", "bold it"},
		{"I <3 this < that", "I <3 this < that"},
		{"&lt;br&gt; stays text", "<br> stays text"},
		{"nul\x00 bell\a", "nul bell"},
		{"<a", "<a"},
		{"\ufeff \ufeff", ""},
	} {
		if got := Text(tc.in); got != tc.want {
			t.Errorf("Text(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestName(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"Julius NM", "Julius NM"},
		{"Fun&amp;Hacks", "Fun&Hacks"},
		{" \t\ufeff", NoName},
		{"a\nb", "a b"},
		{strings.Repeat("é", 60), strings.Repeat("é", 60)},
		{strings.Repeat("é", 61), strings.Repeat("é", 59) + "…"},
	} {
		if got := Name(tc.in); got != tc.want {
			t.Errorf("Name(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestBadRows(t *testing.T) {
	in := head +
		"a,Ann,2014-07-22T15:27:50,fine,0\n" +
		"b,Bob,2014-07-22T15:27:50,too few\n" +
		"c,Cid,,\"an open quote,1\n" +
		"d,Dan,,\"two\nlines\",1\n" +
		"e,Eve,yesterday,text,1\n" +
		"f,Fay,,\ufeff,1\n" +
		"g,Gus,,bad \xff bytes,1\n" +
		"h,Hal,,text,2\n" +
		",Ida,,text,1\n" +
		"j,Jim,," + strings.Repeat("x", ticketing.MaxComment+1) + ",1\n" +
		"\n" +
		"k,Kim,2014-07-22T15:27:50.123456,last,1"
	rows, faults, err := Read(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, f := range faults {
		got += fmt.Sprintf("%d: %v\n", f.Line, f.Err)
	}
	want := `3: it has 4 columns instead of 5
4: it is not CSV: extraneous or missing " in quoted-field
7: DATE is "yesterday", not such as 2014-07-22T15:27:50
8: Enter a text.
9: it is not valid UTF-8
10: CLASS is "2", not 0 or 1
11: COMMENT_ID has not 1 to 150 bytes
12: A text has at most 10000 characters.
`
	if got != want {
		t.Errorf("faults:\n%swant:\n%s", got, want)
	}
	if len(rows) != 3 || rows[1].Text != "two\nlines" || rows[1].Line != 5 || rows[2].ID != "k" {
		t.Errorf("rows %+v", rows)
	}
	if at := time.Date(2014, 7, 22, 15, 27, 50, 0, time.UTC); !rows[1].At.Equal(at) || rows[1].Dated {
		t.Errorf("an undated row is at %v", rows[1].At)
	}
}

func TestDates(t *testing.T) {
	rows, _, err := Read(strings.NewReader(head + "a,A,,x,0\nb,B,2014-01-02T03:04:05,x,0\nc,C,,x,0\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if want := time.Date(2014, 1, 2, 3, 4, 5, 0, time.UTC); !r.At.Equal(want) {
			t.Errorf("row %s is at %v", r.ID, r.At)
		}
	}
	if rows, _, _ = Read(strings.NewReader(head + "a,A,,x,0\n")); !rows[0].At.Equal(NoDate) {
		t.Errorf("without any date: %v", rows[0].At)
	}
}

func TestOtherFiles(t *testing.T) {
	for _, in := range []string{"", "id,text\n1,2\n"} {
		if _, _, err := Read(strings.NewReader(in)); err == nil {
			t.Errorf("no error for %q", in)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("a,Ann,2014-07-22T15:27:50,fine,0\n")
	f.Add("c,Cid,,\"an open quote,1\nd,Dan,,\"two\nlines\",1\n")
	f.Add("a,A,,<a href=\"x\">y</a>,1\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		rows, faults, err := Read(strings.NewReader(head + body))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(body, "\n") + 1
		if len(rows)+len(faults) > lines {
			t.Errorf("%d rows and %d faults in %d lines", len(rows), len(faults), lines)
		}
		for _, r := range rows {
			if ticketing.CheckComment(r.Text) != nil || ticketing.CheckName(r.Name) != nil || r.At.IsZero() || r.ID == "" {
				t.Errorf("a row that no server takes: %+v", r)
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add(`a <a href="http://x/?a&amp;b">2:19</a><br>`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := Text(s); utf8.ValidString(s) && !utf8.ValidString(got) || strings.Contains(got, "\ufeff") {
			t.Errorf("Text(%q) = %q", s, got)
		}
	})
}
