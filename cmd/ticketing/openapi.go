package main

import (
	"github.com/spf13/cobra"

	"ticketing/gateway/openapi"
)

// openapi prints what a server answers at /openapi.json, for those who generate clients or check the description.
func (a *app) openapi() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the description of the HTTP API (OpenAPI 3.1, JSON)", Args: between(0, 0),
		RunE: func(*cobra.Command, []string) error {
			d, err := openapi.Load()
			if err != nil {
				return err
			}
			_, err = a.out.Write(append(d.JSON(), '\n'))
			return err
		},
	}
}
