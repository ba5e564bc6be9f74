package ledger

// KeepWhole has tasks be packed once n others have ended after them.
func (s *Store) KeepWhole(n int) { s.whole, s.next = make([]int64, n), 0 }
