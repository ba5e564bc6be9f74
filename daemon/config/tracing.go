package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// collectorURL checks where spans are to go.
func collectorURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil
	case strings.ContainsAny(text, "@?#"): // what is there may be secret: it is not repeated
		return errors.New(`must be a URL without a user, a password, a query or a fragment, such as "https://collector.example:4318"; its credentials are in OTEL_EXPORTER_OTLP_HEADERS`)
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return fmt.Errorf("%.128q must be a URL such as \"http://127.0.0.1:4317\" or \"https://collector.example:4318\"", text)
	}
	return nil
}

// setPart takes a part of all such as "10%".
func setPart(to *float64) func(cty.Value) error {
	return func(v cty.Value) error {
		text, err := asString(v)
		number, ok := strings.CutSuffix(text, "%")
		n, wrong := strconv.ParseFloat(number, 64)
		if err != nil || wrong != nil || !ok || !(n >= 0 && n <= 100) {
			return fmt.Errorf(`%.64q must be a part of all such as "10%%", from "0%%" to "100%%"`, text)
		}
		*to = n / 100
		return nil
	}
}
