package redact

import (
	"encoding/json"
	"slices"
	"strings"
)

// Made are the lines of a text, which was made of secrets and of texts that are clear,
// that give something away when the secrets themselves are hidden: what is left of the
// others is short, or stands in the clear texts.
func Made(text string, secrets, clear []string) (lines []string) {
	secrets = slices.Clone(secrets)
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || Short(line) {
			continue
		}
		rest := line
		for _, s := range secrets {
			for part := range strings.SplitSeq(s, "\n") {
				if part = strings.TrimSpace(part); part != "" && !Short(part) {
					rest = strings.ReplaceAll(rest, part, "\n")
				}
			}
		}
		for piece := range strings.SplitSeq(rest, "\n") {
			if !slices.ContainsFunc(clear, func(c string) bool { return strings.Contains(c, piece) }) && piece != "" {
				lines = append(lines, line)
				break
			}
		}
	}
	return lines
}

// Given calls hide with a secret as it was given and, if that is a JSON document, with the
// texts in it: programs take it apart. It reports whether the secret is too short to be
// hidden well.
func Given(secret string, hide func(string)) (short bool) {
	hide(secret)
	var doc any
	if text := strings.TrimSpace(secret); text == "" || !strings.ContainsAny(text[:1], "{[") ||
		json.Unmarshal([]byte(text), &doc) != nil {
		return Short(secret)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if !Short(v) {
				hide(v)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(doc)
	return false
}
