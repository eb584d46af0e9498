package main

import (
	"encoding/json"
	"os"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

type metric struct {
	Name     string            `json:"name"`
	Matchers map[string]string `json:"matchers"` // label → value, or the regular expression it must match
}

type query struct {
	Error   string   `json:"error"`
	Metrics []metric `json:"metrics"`
}

// readQueries parses queries with Prometheus's own parser and tells what they select.
func readQueries() {
	var texts []string
	must(json.NewDecoder(os.Stdin).Decode(&texts))
	answer := map[string]query{}
	for _, text := range texts {
		found := query{Metrics: []metric{}}
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			found.Error = err.Error()
		} else {
			for _, selectors := range parser.ExtractSelectors(expr) {
				selected := metric{Matchers: map[string]string{}}
				for _, matcher := range selectors {
					if matcher.Name == labels.MetricName {
						selected.Name = matcher.Value
					} else {
						selected.Matchers[matcher.Name] = matcher.Value
					}
				}
				found.Metrics = append(found.Metrics, selected)
			}
		}
		answer[text] = found
	}
	must(json.NewEncoder(os.Stdout).Encode(answer))
}
