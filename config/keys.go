package config

import "reflect"

// Keys returns the name of every setting, in the order of the struct.
func Keys() []string {
	t := reflect.TypeFor[Config]()
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("koanf")
	}
	return keys
}

func knownKeys() map[string]bool {
	known := map[string]bool{}
	for _, k := range Keys() {
		known[k] = true
	}
	return known
}
