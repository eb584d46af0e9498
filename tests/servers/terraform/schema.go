package main

import (
	"encoding/json"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// provider is what provider_schema.json says of one: its own configuration, resources and data sources.
type provider struct {
	Configuration block
	Resources     map[string]block
	Data          map[string]block
}

type block struct {
	Attributes map[string]attribute
	Blocks     map[string]nested
}

type attribute struct {
	Type     json.RawMessage // cty's JSON form: "string", ["list", "string"], "dynamic"
	Required bool
	Computed bool // only the provider sets it
}

type nested struct {
	Block    block
	Single   bool
	Required bool
}

func (a attribute) kind() cty.Type {
	kind, err := ctyjson.UnmarshalType(a.Type)
	must(err)
	return kind
}

// spec returns how a body is decoded; what only the provider sets is not in it, so that setting it is an error.
func (b block) spec() hcldec.ObjectSpec {
	spec := hcldec.ObjectSpec{}
	for name, attribute := range b.Attributes {
		if !attribute.Computed {
			spec[name] = &hcldec.AttrSpec{Name: name, Type: attribute.kind(), Required: attribute.Required}
		}
	}
	for name, inner := range b.Blocks {
		if inner.Single {
			spec[name] = &hcldec.BlockSpec{TypeName: name, Nested: inner.Block.spec(), Required: inner.Required}
			continue
		}
		least := 0
		if inner.Required {
			least = 1
		}
		spec[name] = &hcldec.BlockTupleSpec{TypeName: name, Nested: inner.Block.spec(), MinItems: least}
	}
	return spec
}

// completed adds what only the provider knows: texts are its address, the rest is unknown.
func (b block) completed(where string, value cty.Value) cty.Value {
	values := value.AsValueMap()
	for name, attribute := range b.Attributes {
		if kind := attribute.kind(); attribute.Computed && kind == cty.String {
			values[name] = cty.StringVal(where + "." + name)
		} else if attribute.Computed {
			values[name] = cty.UnknownVal(kind)
		}
	}
	return cty.ObjectVal(values)
}
