package task

// names are those that an object may have. They are matched exactly.
type names struct {
	all    []string
	places map[string]int
}

func namesOf(all ...string) names {
	n := names{all, make(map[string]int, len(all))}
	for i, name := range all {
		n.places[name] = i
	}
	return n
}

// place returns the place of a name that comes next in what is read, and notes it in seen.
// An empty name, an unknown one and one that has been there before are errors.
func (n *names) place(name []byte, what string, seen []bool) (int, error) {
	i, ok := n.places[string(name)]
	switch {
	case len(name) == 0:
		return 0, &FieldError{Field: what, Problem: "has a field without a name", Allowed: n.all}
	case !ok:
		return 0, &FieldError{Field: clip(string(name)), Problem: "unknown field", Allowed: n.all}
	case seen[i]:
		return 0, &FieldError{Field: n.all[i], Problem: "is given twice"}
	}
	seen[i] = true
	return i, nil
}
