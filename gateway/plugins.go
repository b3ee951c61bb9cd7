package gateway

import (
	"bytes"
	"log/slog"

	"ticketing"
)

func (g *Gateway) listPlugins(c *call) error {
	all, err := g.s.Plugins.Plugins(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.listPlugins", err)
	}
	return c.reply(200, list[ticketing.PluginVersion]{Items: orEmpty(all)})
}

// orEmpty makes a nil slice an empty list in JSON.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (g *Gateway) listVersions(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	all, err := g.s.Plugins.Plugins(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.listVersions", err)
	}
	var versions []ticketing.PluginVersion
	for _, v := range all {
		if v.Name == name {
			versions = append(versions, v)
		}
	}
	if len(versions) == 0 {
		return notFound()
	}
	return c.reply(200, list[ticketing.PluginVersion]{Items: versions})
}

// uploadPlugin answers 201, or 200 for bytes that are registered already.
func (g *Gateway) uploadPlugin(c *call) error {
	name, err := c.newName()
	if err != nil {
		return err
	}
	module, err := c.body("application/wasm")
	if err != nil {
		return err
	}
	if len(module) == 0 {
		return ticketing.Errorf(ticketing.BadRequest, "The body is empty: send the module's bytes.")
	}
	v, existed, err := g.upload(c, name, bytes.Clone(module))
	if err != nil {
		return err
	}
	if existed {
		return c.reply(200, &v)
	}
	c.Response.Header.Set("Location", "/api/plugins/"+name+"/versions")
	return c.reply(201, &v)
}

// upload registers a module. One that is refused is not stored, so that only the log can tell who sent what.
func (g *Gateway) upload(c *call, name string, module []byte) (v ticketing.PluginVersion, existed bool, err error) {
	meta, err := c.meta()
	if err != nil {
		return v, false, err
	}
	v, existed, err = g.s.Plugins.Upload(c.context(), ticketing.UploadPlugin{Meta: meta, By: c.who.principal(), Name: name, Module: module})
	if kind := ticketing.KindOf(err); kind == ticketing.Invalid || kind == ticketing.TooLarge {
		g.audit(c, slog.LevelWarn, "module refused", c.who.user, slog.String("plugin", name), slog.String("digest", ticketing.DigestOf(module).String()),
			slog.Int("bytes", len(module)), slog.String("reason", err.Error()))
	}
	return v, existed, ticketing.Wrap("gateway.upload", err)
}
