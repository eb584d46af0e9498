// What `terraform fmt -check` and `terraform validate` say, from HCL's own library and the providers' published schema,
// without Terraform, providers or a cloud. Further than `validate`: everything is evaluated with the values of a
// variable file, so that the dashboard, the request of the schedule and the job's parameters can be looked at.
//
//	terraform fmt DIR                      names of files that are not formatted, one a line
//	terraform check DIR SCHEMA VARIABLES   {"problems": [...], "resources": {address: {instance: {...}}}}
//	terraform queries                      PromQL queries as a JSON list on standard input → {query: {"error", "metrics"}}
//	terraform answers                      {"series": [...], "queries": [...]} on standard input → {query: values by minute}
//
// SCHEMA is provider_schema.json of this folder, which provider_schema.py beside it makes. What only a provider knows afterwards (an account's
// email) is its own address as a text.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "fmt" {
		unformatted(os.Args[2])
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "queries" {
		readQueries()
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "answers" {
		answerQueries()
		return
	}
	if len(os.Args) != 5 || os.Args[1] != "check" {
		fmt.Fprintln(os.Stderr, "usage: terraform fmt DIR | terraform check DIR SCHEMA VARIABLES | terraform queries | terraform answers")
		os.Exit(2)
	}
	m := load(os.Args[2], os.Args[3])
	m.readVariables(os.Args[4])
	answer := map[string]any{"resources": m.evaluateAll(), "problems": m.told()}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	must(encoder.Encode(answer))
}

func unformatted(folder string) {
	must(filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if extension := filepath.Ext(path); err != nil || (extension != ".tf" && extension != ".tfvars") {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && !bytes.Equal(text, hclwrite.Format(text)) {
			fmt.Println(path)
		}
		return err
	}))
}

// declared is one block of the module; its value is evaluated when something first asks for it.
type declared struct {
	block   *hcl.Block // nil for a local
	expr    hcl.Expression
	value   cty.Value
	state   int // 0 not evaluated, 1 being evaluated, 2 done
	address string
}

type module struct {
	folder    string
	schema    map[string]provider
	things    map[string]*declared // by address: var.x, local.x, google_t.n, data.google_t.n
	outputs   []*hcl.Block
	providers map[string]*hcl.Block
	referred  map[string]bool // addresses that stand anywhere, also where nothing is evaluated
	problems  []string
}

var rootSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "terraform"}, {Type: "locals"}, {Type: "provider", LabelNames: []string{"name"}},
	{Type: "variable", LabelNames: []string{"name"}}, {Type: "output", LabelNames: []string{"name"}},
	{Type: "resource", LabelNames: []string{"type", "name"}}, {Type: "data", LabelNames: []string{"type", "name"}},
}}

func load(folder, schemaFile string) *module {
	m := &module{folder: folder, things: map[string]*declared{}, providers: map[string]*hcl.Block{}, referred: map[string]bool{}}
	text, err := os.ReadFile(schemaFile)
	must(err)
	must(json.Unmarshal(text, &m.schema))
	files, err := filepath.Glob(filepath.Join(folder, "*.tf"))
	must(err)
	sort.Strings(files)
	for _, path := range files {
		text, err := os.ReadFile(path)
		must(err)
		file, diags := hclsyntax.ParseConfig(text, filepath.Base(path), hcl.InitialPos)
		m.tell("", diags)
		if file == nil {
			continue
		}
		m.refer(file.Body.(*hclsyntax.Body))
		content, diags := file.Body.Content(rootSchema)
		m.tell("", diags)
		for _, block := range content.Blocks {
			m.declare(block)
		}
	}
	return m
}

// refer notes what a file refers to. Names of a `for` or of a dynamic block look alike, but for their first word.
func (m *module) refer(body *hclsyntax.Body) {
	_ = hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		if reference, ok := node.(*hclsyntax.ScopeTraversalExpr); ok {
			if address := addressOf(reference.Traversal); address != "" {
				m.referred[address] = true
			}
		}
		return nil
	})
}

func (m *module) declare(block *hcl.Block) {
	switch block.Type {
	case "locals":
		attributes, diags := block.Body.JustAttributes()
		m.tell("locals", diags)
		for name, attribute := range attributes {
			m.add("local."+name, &declared{expr: attribute.Expr})
		}
	case "variable":
		m.add("var."+block.Labels[0], &declared{block: block})
	case "resource":
		m.add(block.Labels[0]+"."+block.Labels[1], &declared{block: block})
	case "data":
		m.add("data."+block.Labels[0]+"."+block.Labels[1], &declared{block: block})
	case "output":
		m.outputs = append(m.outputs, block)
	case "provider":
		m.providers[block.Labels[0]] = block
	}
}

func (m *module) add(address string, thing *declared) {
	if m.things[address] != nil {
		m.problems = append(m.problems, address+": declared twice")
	}
	thing.address = address
	m.things[address] = thing
}

// evaluateAll evaluates every block and returns the values of the resources by address and instance.
func (m *module) evaluateAll() map[string]any {
	for _, address := range m.addresses() {
		m.value(address)
	}
	for name, block := range m.providers {
		if schema, ok := m.schema[name]; ok {
			m.decode("provider."+name, block.Body, schema.Configuration, nil)
		}
	}
	for _, block := range m.outputs {
		m.attribute("output."+block.Labels[0], block, "value", true)
	}
	for address := range m.referred {
		if m.things[address] == nil {
			m.problems = append(m.problems, address+": not declared")
		}
	}
	resources := map[string]any{}
	for _, address := range m.addresses() {
		thing := m.things[address]
		if !m.referred[address] && (thing.block == nil || thing.block.Type != "resource") {
			m.problems = append(m.problems, address+": nothing refers to it")
		}
		if thing.block == nil || thing.block.Type != "resource" {
			continue
		}
		instances := map[string]json.RawMessage{}
		for key, value := range m.instances(thing.value) {
			known, err := cty.Transform(value, func(_ cty.Path, v cty.Value) (cty.Value, error) {
				if !v.IsKnown() {
					return cty.NullVal(v.Type()), nil
				}
				return v, nil
			})
			must(err)
			text, err := ctyjson.Marshal(known, known.Type())
			must(err)
			instances[key] = text
		}
		resources[address] = instances
	}
	return resources
}

// instances returns the values of a resource by key: "" without count and for_each, "0" …, or the keys of for_each.
func (m *module) instances(value cty.Value) map[string]cty.Value {
	found := map[string]cty.Value{}
	if value.Type().IsTupleType() {
		for number, element := range value.AsValueSlice() {
			found[fmt.Sprint(number)] = element
		}
	} else if value.Type().IsObjectType() && !value.Type().HasAttribute("id") {
		for key, element := range value.AsValueMap() {
			found[key] = element
		}
	} else if value.Type().IsObjectType() {
		found[""] = value
	}
	return found
}

func (m *module) addresses() []string {
	found := make([]string, 0, len(m.things))
	for address := range m.things {
		found = append(found, address)
	}
	sort.Strings(found)
	return found
}

func (m *module) tell(where string, diags hcl.Diagnostics) {
	for _, diag := range diags {
		if diag.Severity == hcl.DiagError {
			m.problems = append(m.problems, fmt.Sprintf("%s: %s", where, diag.Error()))
		}
	}
}

// told returns the problems, each once.
func (m *module) told() []string {
	seen, found := map[string]bool{}, []string{}
	for _, problem := range m.problems {
		if !seen[problem] {
			seen[problem], found = true, append(found, problem)
		}
	}
	return found
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
