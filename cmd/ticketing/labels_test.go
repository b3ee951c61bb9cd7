package main

import (
	"reflect"
	"strings"
	"testing"

	"ticketing/client"
	"ticketing/internal/labels"
)

// The files go to the server as the API wants them, and flags that do not go together are refused.
func TestReadLabels(t *testing.T) {
	for name, tc := range map[string]struct {
		in    string
		flags labelFlags
		want  []client.Label
		fault string
	}{
		"keys":      {in: "label,key\nham,k\nspam,l\n", want: []client.Label{{Key: "k", Label: "good"}, {Key: "l", Label: "bad"}}},
		"named":     {in: "a,b\nk,1\n", flags: labelFlags{columns: labels.Columns{Key: "a", Label: "b"}}, want: []client.Label{{Key: "k", Label: "bad"}}},
		"no column": {in: "text,label\nx,1\n", fault: "the columns are text, label: name one with --id, --key or --label"},
		"none":      {in: "key,label\nk,\n", fault: "the files hold no label"},
		"both":      {in: "", flags: labelFlags{columns: labels.Columns{ID: "a", Key: "b"}}, fault: "do not go together"},
	} {
		tc.flags.files = []string{"-"}
		got, err := tc.flags.read(&app{in: strings.NewReader(tc.in)})
		if tc.fault == "" && (err != nil || !reflect.DeepEqual(got, tc.want)) || tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := (&labelFlags{columns: labels.Columns{Label: "x"}}).read(&app{}); err == nil {
		t.Error("a column of no file")
	}
}
