package conformance

// Behaviour names a script by what it does.
type Behaviour string

// The behaviours that the promises ask for; Behaviours says what each does.
const (
	Echo               Behaviour = "echo"
	Fails              Behaviour = "fails"
	Panics             Behaviour = "panics"
	Faulted            Behaviour = "faulted"
	Breaks             Behaviour = "breaks"
	Events             Behaviour = "events"
	LateEvents         Behaviour = "late-events"
	BlocksUntilStopped Behaviour = "blocks-until-stopped"
	WaitsForFile       Behaviour = "waits-for-file"
	PrintsMuch         Behaviour = "prints-much"
	PrintsAndBlocks    Behaviour = "prints-and-blocks"
	StrayOutput        Behaviour = "stray-output"
	NotText            Behaviour = "not-text"
	HugeResult         Behaviour = "huge-result"
	Environment        Behaviour = "environment"
	WorkingDirectory   Behaviour = "working-directory"
	Crashes            Behaviour = "crashes"
	Faults             Behaviour = "faults"
	Exits              Behaviour = "exits"
	SpawnsChild        Behaviour = "spawns-child"
	ChildEscapes       Behaviour = "child-escapes"
	ChildVanishes      Behaviour = "child-vanishes"
	EatsMemory         Behaviour = "eats-memory"
	LoopEcho           Behaviour = "loop-echo"
	LoopBlocks         Behaviour = "loop-blocks-until-stopped"
)

// EatenBytes is what EatsMemory takes.
const EatenBytes = 512 << 20

// Description says what the script of a Behaviour does.
type Description struct {
	Behaviour Behaviour
	Does      string
}

// Behaviours describes all of them.
func Behaviours() []Description {
	return []Description{
		{Echo, "returns its params, and prints its task_id and the end of the line"},
		{Fails, `fails as a script does, with "as asked" in the error's message`},
		{Panics, "makes the executor itself fail while the script runs"},
		{Faulted, "makes the executor fail the attempt before anything of the script has run"},
		{Breaks, "returns its params, and leaves the worker as one that can't run tasks any more"},
		{Events, `reports progress 0.5 with "half way", logs "hello" as info, and yields 1, 2 and 3`},
		{LateEvents, "yields from a thread that goes on after the script has returned"},
		{BlocksUntilStopped, "waits for ever, and can be stopped"},
		{WaitsForFile, "waits until the file is there whose path is its params, and returns them; for executors without CANCEL"},
		{PrintsMuch, "prints 1 MB to its standard output, and returns its params"},
		{PrintsAndBlocks, `prints "begun" and the end of the line, to its standard output or error, and is then as blocks-until-stopped`},
		{StrayOutput, "writes a line of 1 MB to descriptor 1 of the worker and one to 2, past what is kept as a task's output"},
		{NotText, "prints bytes that are not UTF-8"},
		{HugeResult, "returns a text of 4 MiB"},
		{Environment, "returns the environment of its process, as an object"},
		{WorkingDirectory, "returns the absolute path of the directory in which it was started"},
		{Crashes, `writes "last words of a crash" to descriptor 2, and ends its process by SIGKILL`},
		{Faults, "ends its process by SIGSEGV"},
		{Exits, "ends its process with status 42, without any cleaning up"},
		{SpawnsChild, "starts a process that stays, and returns its pid"},
		{ChildEscapes, "starts a process that stays, in a session of its own, and returns its pid"},
		{ChildVanishes, "starts a process that stays, without environment and without a parent, and returns its pid"},
		{EatsMemory, "takes 512 MiB of memory and writes to it, and returns how much it got"},
		{LoopEcho, "is echo, as a script that the event loop runs"},
		{LoopBlocks, "is blocks-until-stopped, as a script that the event loop runs"},
	}
}
