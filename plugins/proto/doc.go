// Package proto holds the wire contract between the daemon and an executor:
// executor.proto and the code generated from it. Only package plugins and its
// subpackages import it.
package proto

//go:generate protoc --proto_path=. --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative executor.proto
