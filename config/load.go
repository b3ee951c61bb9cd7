package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// envPrefix begins the name of every environment variable that is read.
const envPrefix = "TICKETING_"

// variable is the environment variable of a key.
func variable(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// Load reads the settings as [Read] does. Everything that Validate finds is an error, too.
func Load(path string, environ []string, flags *pflag.FlagSet) (Config, error) {
	c, err := Read(path, environ, flags)
	if err != nil {
		return c, err
	}
	return c, c.Validate()
}

// Read reads the settings: defaults, then the YAML file (if path is not empty), then the environment, then the flags that were set. An
// unknown key is an error; what is missing or wrong is for Validate to find. environ is os.Environ's result.
func Read(path string, environ []string, flags *pflag.FlagSet) (Config, error) {
	k := koanf.NewWithConf(koanf.Conf{Delim: "."})
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return Config{}, fmt.Errorf("config: there is no file %s", path)
			}
			return Config{}, fmt.Errorf("config: %s: %w", path, err)
		}
	}
	known := knownKeys()
	named := make(map[string]string, len(known)) // keys, as the environment spells them
	for key := range known {
		named[variable(key)] = key
	}
	environment := env.Provider(".", env.Opt{Prefix: envPrefix, EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			return named[name], value // no key: other programs may use the prefix too, such as for URLs and tokens of the command line
		}})
	if err := k.Load(environment, nil); err != nil {
		return Config{}, fmt.Errorf("config: environment: %w", err)
	}
	if flags != nil {
		provider := posflag.ProviderWithFlag(flags, ".", k, func(f *pflag.Flag) (string, any) {
			if !known[f.Name] || !f.Changed {
				return "", nil
			}
			return f.Name, posflag.FlagVal(flags, f)
		})
		if err := k.Load(provider, nil); err != nil {
			return Config{}, fmt.Errorf("config: flags: %w", err)
		}
	}
	c := Default()
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{Tag: "koanf", FlatPaths: true, DecoderConfig: &mapstructure.DecoderConfig{
		Result: &c, TagName: "koanf", ErrorUnused: true, WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(",")),
	}})
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	return c, nil
}
