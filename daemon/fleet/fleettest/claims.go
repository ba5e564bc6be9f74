package fleettest

import (
	"path/filepath"
	"slices"

	"cpulb/plugins"
)

// claims reports whether a task that was taken runs here.
func (s *slot) claims(j *job) bool {
	s.mu.Lock()
	recalled := s.recalled[j.task.Seq]
	needsThread := filepath.Base(j.task.ScriptPath) == NeedsAThread && s.loop
	claims := !recalled && !needsThread && !s.process.isStopping()
	if claims {
		s.claimed[j.task.Seq] = false
	}
	s.mu.Unlock()
	if claims {
		return true
	}
	s.done(j.task.Seq)
	if !recalled {
		s.tell(plugins.Event{Kind: plugins.EventSkipped, Seq: j.task.Seq, NeedsThread: needsThread})
	}
	return false
}

func (s *slot) done(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
	if _, claimed := s.claimed[seq]; claimed {
		s.claimed[seq] = true
	}
}

// Shares implements fleet.Conn.
func (s *slot) Shares() bool { return s.shares }

// Recall implements fleet.Conn.
func (s *slot) Recall(_ int, seq uint64) plugins.Claim { return s.recall(seq) }

// Fate implements fleet.Conn.
func (s *slot) Fate(_ int, seq uint64) plugins.Fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch done, claimed := s.claimed[seq]; {
	case !s.shares:
		return plugins.FateOpen
	case done:
		return plugins.FateDone
	case claimed:
		return plugins.FateClaimed
	case s.recalled[seq]:
		return plugins.FateRecalled
	}
	return plugins.FateOpen
}

func (s *slot) cancel(seq uint64, r plugins.StopReason) plugins.Claim {
	s.mu.Lock()
	if s.current != nil && s.current.task.Seq == seq {
		select {
		case s.current.stop <- r:
		default:
		}
		s.mu.Unlock()
		return plugins.Claimed
	}
	s.mu.Unlock()
	return s.recall(seq)
}

func (s *slot) recall(seq uint64) plugins.Claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.waiting, func(j *job) bool { return j.task.Seq == seq }) && !slices.Contains(s.gone, seq) {
		return plugins.Claimed
	}
	if s.recalled == nil {
		s.recalled = map[uint64]bool{}
	}
	s.recalled[seq] = true
	return plugins.Recalled
}
