package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

var metaSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "count"}, {Name: "for_each"}, {Name: "provider"}, {Name: "depends_on"}},
	Blocks:     []hcl.BlockHeaderSchema{{Type: "lifecycle"}},
}

var variableSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{
		{Name: "type", Required: true}, {Name: "description", Required: true}, {Name: "default"}, {Name: "nullable"},
	},
	Blocks: []hcl.BlockHeaderSchema{{Type: "validation"}},
}

var validationSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{
	{Name: "condition", Required: true}, {Name: "error_message", Required: true},
}}

// readVariables gives every variable its value: of the file, else its default, converted to its type.
func (m *module) readVariables(path string) {
	text, err := os.ReadFile(path)
	must(err)
	file, diags := hclsyntax.ParseConfig(text, filepath.Base(path), hcl.InitialPos)
	m.tell("", diags)
	given, diags := file.Body.JustAttributes()
	m.tell("", diags)
	for name := range given {
		if m.things["var."+name] == nil {
			m.problems = append(m.problems, fmt.Sprintf("%s: there is no variable %s", filepath.Base(path), name))
		}
	}
	for address, thing := range m.things {
		name, ok := strings.CutPrefix(address, "var.")
		if !ok {
			continue
		}
		content, diags := thing.block.Body.Content(variableSchema)
		m.tell(address, diags)
		thing.value, thing.state = cty.DynamicVal, 2
		if content.Attributes["type"] == nil {
			continue
		}
		wanted, defaults, diags := typeexpr.TypeConstraintWithDefaults(content.Attributes["type"].Expr)
		m.tell(address, diags)
		attribute := given[name]
		if attribute == nil {
			attribute = content.Attributes["default"]
		}
		if attribute == nil {
			m.problems = append(m.problems, address+": no value is given, and it has no default")
			continue
		}
		value, diags := attribute.Expr.Value(nil)
		m.tell(address, diags)
		if defaults != nil && !value.IsNull() {
			value = defaults.Apply(value)
		}
		if thing.value, err = convert.Convert(value, wanted); err != nil {
			m.problems = append(m.problems, fmt.Sprintf("%s: %s", address, err))
			thing.value = cty.UnknownVal(wanted)
		}
	}
	for address, thing := range m.things {
		if strings.HasPrefix(address, "var.") {
			m.validate(address, thing.block)
		}
	}
}

func (m *module) validate(address string, variable *hcl.Block) {
	content, _ := variable.Body.Content(variableSchema)
	for _, block := range content.Blocks {
		rule, diags := block.Body.Content(validationSchema)
		m.tell(address, diags)
		condition, message := rule.Attributes["condition"], rule.Attributes["error_message"]
		if condition == nil || message == nil {
			continue
		}
		said, holds := m.evaluate(address, message.Expr, nil), m.evaluate(address, condition.Expr, nil)
		if holds.Type() == cty.Bool && holds.IsKnown() && holds.False() {
			m.problems = append(m.problems, fmt.Sprintf("%s: %s", address, said.AsString()))
		}
	}
}

// value returns what an address stands for, evaluated at most once.
func (m *module) value(address string) cty.Value {
	thing := m.things[address]
	switch {
	case thing.state == 2:
		return thing.value
	case thing.state == 1:
		m.problems = append(m.problems, address+": depends on itself")
		return cty.DynamicVal
	}
	thing.state, thing.value = 1, cty.DynamicVal
	if thing.block == nil {
		thing.value = m.evaluate(address, thing.expr, nil)
	} else {
		thing.value = m.resource(thing)
	}
	thing.state = 2
	return thing.value
}

// evaluate returns an expression's value; local holds what is known here alone: each, count.
func (m *module) evaluate(where string, expr hcl.Expression, local map[string]cty.Value) cty.Value {
	value, diags := expr.Value(m.context(expr.Variables(), local))
	m.tell(where, diags)
	return value
}

// context returns what an expression may refer to; what these traversals name is evaluated for it.
func (m *module) context(traversals []hcl.Traversal, local map[string]cty.Value) *hcl.EvalContext {
	nested := map[string]map[string]cty.Value{"var": {}, "local": {}, "data": {}}
	data := map[string]map[string]cty.Value{}
	variables := map[string]cty.Value{"path": cty.ObjectVal(map[string]cty.Value{
		"module": cty.StringVal("."), "root": cty.StringVal("."),
	})}
	for name, value := range local {
		variables[name] = value
	}
	for _, traversal := range traversals {
		root := traversal.RootName()
		if _, known := variables[root]; known {
			continue
		}
		thing := m.things[addressOf(traversal)]
		if thing == nil {
			continue // told by evaluateAll, or the name of a `for`
		}
		names := strings.Split(thing.address, ".")
		into := nested[root]
		if root == "data" {
			if into = data[names[1]]; into == nil {
				into = map[string]cty.Value{}
				data[names[1]] = into
			}
		} else if into == nil {
			into = map[string]cty.Value{}
			nested[root] = into
		}
		into[names[len(names)-1]] = m.value(thing.address)
	}
	for name, values := range data {
		nested["data"][name] = cty.ObjectVal(values)
	}
	for name, values := range nested {
		variables[name] = cty.ObjectVal(values)
	}
	return &hcl.EvalContext{Variables: variables, Functions: functions(m.folder)}
}

// resource returns the value of a resource or data source: an object, a tuple with count, an object of them with for_each.
func (m *module) resource(thing *declared) cty.Value {
	content, body, diags := thing.block.Body.PartialContent(metaSchema)
	m.tell(thing.address, diags)
	name := "google"
	if attribute := content.Attributes["provider"]; attribute != nil {
		name = strings.Join(words(attribute.Expr), ".")
	}
	if m.providers[name] == nil {
		m.problems = append(m.problems, fmt.Sprintf("%s: provider %s is not declared", thing.address, name))
	}
	kinds := m.schema[name].Resources
	if thing.block.Type == "data" {
		kinds = m.schema[name].Data
	}
	schema, ok := kinds[thing.block.Labels[0]]
	if !ok {
		m.problems = append(m.problems, fmt.Sprintf("%s: provider %s has no %s", thing.address, name, thing.block.Labels[0]))
		return cty.DynamicVal
	}
	if attribute := content.Attributes["for_each"]; attribute != nil {
		return m.forEach(thing, m.evaluate(thing.address, attribute.Expr, nil), body, schema)
	}
	if attribute := content.Attributes["count"]; attribute != nil {
		number, err := convert.Convert(m.evaluate(thing.address, attribute.Expr, nil), cty.Number)
		if err != nil || !number.IsKnown() || number.IsNull() {
			m.problems = append(m.problems, thing.address+": count is not known")
			return cty.DynamicVal
		}
		wanted, _ := number.AsBigFloat().Int64()
		values := []cty.Value{}
		for index := int64(0); index < wanted; index++ {
			local := map[string]cty.Value{"count": cty.ObjectVal(map[string]cty.Value{"index": cty.NumberIntVal(index)})}
			values = append(values, m.decode(fmt.Sprintf("%s[%d]", thing.address, index), body, schema, local))
		}
		return cty.TupleVal(values)
	}
	return m.decode(thing.address, body, schema, nil)
}

func (m *module) forEach(thing *declared, over cty.Value, body hcl.Body, schema block) cty.Value {
	kind := over.Type()
	if !over.IsKnown() || over.IsNull() || !(kind.IsMapType() || kind.IsObjectType() || (kind.IsSetType() && (kind.ElementType() == cty.String || over.LengthInt() == 0))) {
		m.problems = append(m.problems, thing.address+": for_each must be a map or a set of texts, and known")
		return cty.DynamicVal
	}
	values := map[string]cty.Value{}
	for iterator := over.ElementIterator(); iterator.Next(); {
		key, value := iterator.Element()
		if kind.IsSetType() {
			key = value
		}
		local := map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})}
		address := fmt.Sprintf("%s[%q]", thing.address, key.AsString())
		values[key.AsString()] = m.decode(address, body, schema, local)
	}
	return cty.ObjectVal(values)
}

// decode checks a body against the schema and returns its values, with texts for what only the provider knows.
func (m *module) decode(where string, body hcl.Body, schema block, local map[string]cty.Value) cty.Value {
	spec := schema.spec()
	context := m.context(dynblock.VariablesHCLDec(body, spec), local)
	value, diags := hcldec.Decode(dynblock.Expand(body, context), spec, context)
	m.tell(where, diags)
	if value.IsNull() || !value.IsKnown() || !value.Type().IsObjectType() {
		return cty.DynamicVal
	}
	return schema.completed(where, value)
}

func (m *module) attribute(where string, block *hcl.Block, name string, described bool) {
	content, diags := block.Body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{
		{Name: name, Required: true}, {Name: "description", Required: described}, {Name: "sensitive"},
	}})
	m.tell(where, diags)
	if attribute := content.Attributes[name]; attribute != nil {
		m.evaluate(where, attribute.Expr, nil)
	}
}

// addressOf returns the address that a reference begins with, "" if it names nothing that a module declares.
func addressOf(traversal hcl.Traversal) string {
	root, steps := traversal.RootName(), 2
	if root == "data" {
		steps = 3
	} else if root != "var" && root != "local" && !strings.HasPrefix(root, "google_") {
		return ""
	}
	names := []string{root}
	for _, step := range traversal[1:] {
		if attribute, ok := step.(hcl.TraverseAttr); ok && len(names) < steps {
			names = append(names, attribute.Name)
		}
	}
	return strings.Join(names, ".")
}

// words returns the names of a reference such as `google-beta` or `google.other`.
func words(expr hcl.Expression) []string {
	traversal, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() {
		return nil
	}
	found := []string{traversal.RootName()}
	for _, step := range traversal[1:] {
		if attribute, ok := step.(hcl.TraverseAttr); ok {
			found = append(found, attribute.Name)
		}
	}
	return found
}
