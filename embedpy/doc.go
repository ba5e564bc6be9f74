// Package embedpy runs CPython inside a Go process: it starts the interpreter,
// lets OS threads call Python functions, and interrupts what they run.
//
// Guarantees. One call into Python costs one crossing of cgo; text and bytes are
// copied once on the way in and not at all on the way out. An interrupt raises
// its exception in the region it was meant for or nowhere. Python never enters
// Go with the GIL held. A signal is Go's until Python code sets a handler for it.
//
// Not guaranteed. An interrupt does not wake a thread that waits outside Python
// (a sleep, a lock, a long C call) and a region may swallow it. Nothing here
// survives a C extension that corrupts memory or calls exit.
//
// Rules. There is one interpreter per process and it is never finalised: a
// process that has started one ends by os.Exit after it has flushed what it
// holds. A Thread belongs to the locked OS thread that opened it. The package
// knows nothing of what is run: modules, callables and events mean what its user
// lets them mean.
package embedpy
