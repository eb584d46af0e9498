package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
)

// One time series: labels, and a value a minute from the first on; null is no sample.
type series struct {
	Labels map[string]string `json:"labels"`
	Values []*float64        `json:"values"`
}

type questions struct {
	Series  []series `json:"series"`
	Queries []string `json:"queries"`
	Minutes int      `json:"minutes"`
}

// answerQueries evaluates queries with Prometheus's engine, each minute: the only value, or null if there is none.
func answerQueries() {
	var asked questions
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	folder, err := os.MkdirTemp("", "series")
	must(err)
	defer os.RemoveAll(folder)
	quiet := slog.New(slog.DiscardHandler)
	store, err := tsdb.Open(folder, quiet, nil, tsdb.DefaultOptions(), nil)
	must(err)
	defer store.Close()
	appender := store.Appender(context.Background())
	for minute := 0; minute < asked.Minutes; minute++ {
		for _, one := range asked.Series {
			if minute < len(one.Values) && one.Values[minute] != nil {
				_, err := appender.Append(0, labels.FromMap(one.Labels), at(minute).UnixMilli(), *one.Values[minute])
				must(err)
			}
		}
	}
	must(appender.Commit())
	// The lookback is a minute and a half: a series that has ended is gone at the second minute.
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: quiet, MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 90 * time.Second,
	})
	answers := map[string][]*float64{}
	for _, text := range asked.Queries {
		for minute := 0; minute < asked.Minutes; minute++ {
			query, err := engine.NewInstantQuery(context.Background(), store, nil, text, at(minute))
			must(err)
			vector, err := query.Exec(context.Background()).Vector()
			must(err)
			var value *float64
			if len(vector) == 1 {
				value = &vector[0].F
			}
			answers[text] = append(answers[text], value)
			query.Close()
		}
	}
	must(json.NewEncoder(os.Stdout).Encode(answers))
}

func at(minute int) time.Time {
	return time.Unix(int64(minute)*60+1_700_000_000, 0)
}
