// Large strings as JSON. json's encoder looks at each character twice and decides; most
// large strings have nothing in them that is not written as it is.
#include "embedpy.h"
#include <string.h>

enum { BLOCK = 64 };

// stands_for_itself says whether a byte of ASCII is written as it is in a string of JSON.
static inline unsigned stands_for_itself(unsigned char c) { return (c >= ' ') & (c != '"') & (c != '\\'); }

// all_stand_for_themselves takes a block at a time, without a branch, so that the compiler
// can make vectors of it.
static int all_stand_for_themselves(const unsigned char *text, size_t size)
{
	size_t at = 0;

	for (; size - at >= BLOCK; at += BLOCK) {
		unsigned char all = 1;
		for (int i = 0; i < BLOCK; i++)
			all &= stands_for_itself(text[at + i]);
		if (!all)
			return 0;
	}
	for (; at < size; at++)
		if (!stands_for_itself(text[at]))
			return 0;
	return 1;
}

// ep_quoted is _embedpy.quoted(text) of ASCII text: it as a string of JSON, in bytes, or
// None when something in it has to be escaped.
PyObject *ep_quoted(PyObject *self, PyObject *text)
{
	Py_ssize_t size;
	const char *content = PyUnicode_AsUTF8AndSize(text, &size);
	PyObject *quoted;
	char *to;

	if (!content)
		return NULL;
	if (!all_stand_for_themselves((const unsigned char *)content, (size_t)size))
		Py_RETURN_NONE;
	quoted = PyBytes_FromStringAndSize(NULL, size + 2);
	if (!quoted)
		return NULL;
	to = PyBytes_AsString(quoted);
	to[0] = to[size + 1] = '"';
	memcpy(to + 1, content, (size_t)size);
	return quoted;
}
