package fleettest

// Freeze has the process stand still, as SIGSTOP does, until Thaw.
func (p *Process) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
}

// Thaw ends a Freeze.
func (p *Process) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// Pause has the process begin no further task until GoOn. It answers all the same.
func (p *Process) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pause == nil {
		p.pause = make(chan struct{})
	}
}

// GoOn ends a Pause.
func (p *Process) GoOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pause != nil {
		close(p.pause)
		p.pause = nil
	}
}

// paused is closed at the end of a Pause; nil: there is none.
func (p *Process) paused() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pause
}

// still waits while the process stands still; false when it has ended.
func (p *Process) still() bool {
	for {
		p.mu.Lock()
		frozen := p.frozen
		p.mu.Unlock()
		if frozen == nil {
			select {
			case <-p.ended:
				return false
			default:
				return true
			}
		}
		select {
		case <-frozen:
		case <-p.ended:
			return false
		}
	}
}
