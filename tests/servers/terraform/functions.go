package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions returns Terraform's functions as far as the module needs them; another one is told as unknown.
func functions(folder string) map[string]function.Function {
	inside := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(folder, path)
	}
	return map[string]function.Function{
		"alltrue":    allTrue,
		"basename":   text(func(path string) (cty.Value, error) { return cty.StringVal(filepath.Base(path)), nil }),
		"can":        tryfunc.CanFunc,
		"concat":     stdlib.ConcatFunc,
		"contains":   stdlib.ContainsFunc,
		"flatten":    stdlib.FlattenFunc,
		"floor":      stdlib.FloorFunc,
		"format":     stdlib.FormatFunc,
		"join":       stdlib.JoinFunc,
		"jsonencode": stdlib.JSONEncodeFunc,
		"keys":       stdlib.KeysFunc,
		"length":     stdlib.LengthFunc,
		"merge":      stdlib.MergeFunc,
		"min":        stdlib.MinFunc,
		"regex":      stdlib.RegexFunc,
		"replace":    stdlib.ReplaceFunc,
		"setproduct": stdlib.SetProductFunc,
		"split":      stdlib.SplitFunc,
		"substr":     stdlib.SubstrFunc,
		"toset":      stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"trimsuffix": stdlib.TrimSuffixFunc,
		"try":        tryfunc.TryFunc,
		"base64encode": text(func(plain string) (cty.Value, error) {
			return cty.StringVal(base64.StdEncoding.EncodeToString([]byte(plain))), nil
		}),
		"fileexists": predicate(func(path string) (cty.Value, error) {
			info, err := os.Stat(inside(path))
			return cty.BoolVal(err == nil && info.Mode().IsRegular()), nil
		}),
		"filesha256": text(func(path string) (cty.Value, error) {
			content, err := os.ReadFile(inside(path))
			digest := sha256.Sum256(content)
			return cty.StringVal(hex.EncodeToString(digest[:])), err
		}),
	}
}

var allTrue = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
	Type:   function.StaticReturnType(cty.Bool),
	Impl: func(arguments []cty.Value, _ cty.Type) (cty.Value, error) {
		all := cty.True
		for _, element := range arguments[0].AsValueSlice() {
			all = all.And(element)
		}
		return all, nil
	},
})

func text(of func(string) (cty.Value, error)) function.Function      { return ofText(cty.String, of) }
func predicate(of func(string) (cty.Value, error)) function.Function { return ofText(cty.Bool, of) }

func ofText(result cty.Type, of func(string) (cty.Value, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}},
		Type:   function.StaticReturnType(result),
		Impl: func(arguments []cty.Value, _ cty.Type) (cty.Value, error) {
			return of(arguments[0].AsString())
		},
	})
}
