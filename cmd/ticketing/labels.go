package main

import (
	"errors"
	"fmt"
	"io"

	"ticketing/client"
	"ticketing/internal/labels"
)

// labelFlags say where the labels of a backtest are.
type labelFlags struct {
	files   []string
	columns labels.Columns
}

// read reads the labels of all files.
func (f *labelFlags) read(a *app) ([]client.Label, error) {
	if len(f.files) == 0 {
		if f.columns != (labels.Columns{}) {
			return nil, errors.New("--id, --key and --label name columns of --labels")
		}
		return nil, nil
	}
	if f.columns.ID != "" && f.columns.Key != "" {
		return nil, errors.New("--id and --key do not go together")
	}
	var set labels.Set
	for _, name := range f.files {
		err := a.eachFile(name, func(r io.Reader) error { return set.Read(name, r, f.columns) })
		if errors.Is(err, labels.ErrNoColumn) {
			err = fmt.Errorf("%w: name one with --id, --key or --label", err)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(set.Labels) == 0 {
		return nil, errors.New("the files hold no label")
	}
	all := make([]client.Label, len(set.Labels))
	for i, l := range set.Labels {
		all[i] = client.Label{ID: l.ID, Key: l.Key, Label: l.Word()}
	}
	return all, nil
}
