package ledger

// KeepWhole has tasks be packed once n others have ended after them.
func (s *Store) KeepWhole(n int) { s.whole, s.next = make([]int64, n), 0 }

// RememberAtMost has at most n evicted tasks be remembered.
func (s *Store) RememberAtMost(n int) { s.tombstones.bound = n }
