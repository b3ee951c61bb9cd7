// Package openapi holds the description of the HTTP API (OpenAPI 3.1) and makes the reference that people read from it.
//
// The description is written by hand, before the code. Every *.yaml file here is a part of one document: openapi.yaml says
// what holds for all, the others each have the paths of one subject with the components that belong to them. The parts are
// merged by member; what two parts both say is a fault. References point into the merged document ("#/components/…").
// YAML anchors spare repetitions within one file. Two members are ours: x-body-limit is how many bytes a body may have,
// and x-recent-password marks what a browser's session may do only shortly after the password was given. Role names in a
// security requirement say who may call.
package openapi

import "embed"

//go:embed *.yaml
var parts embed.FS
