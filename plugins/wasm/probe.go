package wasm

// probeModule is the smallest program, (module (func (export "_start"))): it takes the way of
// any other and does nothing.
func probeModule() []byte {
	return []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x04\x01\x60\x00\x00" + // one type, of a function without parameters and results
		"\x03\x02\x01\x00" + // one function, of that type
		"\x07\x0a\x01\x06_start\x00\x00" + // it is exported
		"\x0a\x04\x01\x02\x00\x0b") // and ends
}
