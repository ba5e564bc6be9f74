// Package program is what the executors have in common that run a whole program for each
// task: its arguments and input, what its output becomes, and its ends.
//
// Guarantees: nothing is kept of a program's output beyond the bounds that the writers have
// been given; data that Output gives is JSON on one line; what Head gives is UTF-8.
package program
