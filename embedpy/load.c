// Modules that come from memory, and what is found in them.
#include "embedpy.h"

// own_builtins gives a module that is to be run builtins of its own, which others
// can't take from it. A new reference, or NULL.
static PyObject *own_builtins(const char *name)
{
	PyObject *module = PyImport_AddModule(name); // borrowed
	PyObject *builtins = PyImport_ImportModule("builtins");
	PyObject *copy = builtins ? PyDict_Copy(PyModule_GetDict(builtins)) : NULL;

	Py_XDECREF(builtins);
	if (module && copy && PyDict_SetItemString(PyModule_GetDict(module), "__builtins__", copy) < 0)
		Py_CLEAR(copy);
	return module ? copy : NULL;
}

// unmarshal returns the code that follows a magic number, or NULL: with an error only if
// the number is this Python's.
static PyObject *unmarshal(const char *compiled, size_t size)
{
	const unsigned char *m = (const unsigned char *)compiled;
	PyObject *marshal, *text = NULL, *code = NULL;

	if (size < 4 || (m[0] | m[1] << 8 | m[2] << 16 | (long)m[3] << 24) != PyImport_GetMagicNumber())
		return NULL;
	marshal = PyImport_ImportModule("marshal");
	if (marshal)
		text = PyMemoryView_FromMemory((char *)compiled + 4, size - 4, PyBUF_READ);
	if (text)
		code = PyObject_CallMethod(marshal, "loads", "O", text);
	Py_XDECREF(text);
	Py_XDECREF(marshal);
	return code;
}

// ep_load runs source as the module name, which it adds to sys.modules; file is
// what tracebacks show. compiled, if this Python has made it, is run instead: a magic
// number and the code of source. It returns 0, or -1 with the reason in t->error.
int ep_load(ep_thread *t, const char *name, const char *file, const char *source, const char *compiled, size_t size)
{
	PyObject *code, *builtins, *module = NULL;

	PyEval_RestoreThread(t->state);
	code = unmarshal(compiled, size);
	if (!code && !PyErr_Occurred())
		code = Py_CompileString(source, file, Py_file_input);
	builtins = own_builtins(name);
	if (code && builtins)
		module = PyImport_ExecCodeModuleEx(name, code, file);
	if (!module)
		ep_error_take(t, name);
	Py_XDECREF(code);
	Py_XDECREF(builtins);
	t->state = PyEval_SaveThread();
	// sys.modules keeps the module alive; only whether it is there is asked.
	if (!module)
		return -1;
	ep_release(t, module);
	return 0;
}

// ep_attr returns a new reference to module.name, importing the module if need
// be; NULL with the reason in t->error.
PyObject *ep_attr(ep_thread *t, const char *module, const char *name)
{
	PyObject *from, *object = NULL;

	PyEval_RestoreThread(t->state);
	from = PyImport_ImportModule(module);
	if (from)
		object = PyObject_GetAttrString(from, name);
	if (!object)
		ep_error_take(t, name);
	Py_XDECREF(from);
	t->state = PyEval_SaveThread();
	return object;
}

// ep_release gives up one reference.
void ep_release(ep_thread *t, PyObject *object)
{
	PyEval_RestoreThread(t->state);
	Py_XDECREF(object);
	t->state = PyEval_SaveThread();
}

// ep_member returns a new reference to object.name; NULL with the reason in
// t->error.
PyObject *ep_member(ep_thread *t, PyObject *object, const char *name)
{
	PyObject *member;

	PyEval_RestoreThread(t->state);
	member = PyObject_GetAttrString(object, name);
	if (!member)
		ep_error_take(t, name);
	t->state = PyEval_SaveThread();
	return member;
}
