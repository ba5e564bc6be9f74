/* The least that a call of a script can cost through CPython's C API: json.loads of
 * the params, main(params, context), json.dumps of what it returns, in one thread
 * that never lets go of the interpreter. Prints nanoseconds a round.
 *
 * usage: bare SCRIPT PARAMS ROUNDS */
#include <Python.h>
#include <stdio.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(const void *p) {
    if (p == NULL) {
        PyErr_Print();
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    Py_Initialize();
    PyObject *globals = PyDict_New();
    FILE *f = fopen(argv[1], "r");
    check(f);
    check(PyRun_File(f, argv[1], Py_file_input, globals, globals));
    PyObject *entry = PyDict_GetItemString(globals, "main"), *json = PyImport_ImportModule("json");
    check(entry);
    check(json);
    PyObject *loads = PyObject_GetAttrString(json, "loads"), *dumps = PyObject_GetAttrString(json, "dumps");
    PyObject *context = PyDict_New();
    Py_ssize_t size = (Py_ssize_t)strlen(argv[2]);
    long rounds = atol(argv[3]);
    double began = now();
    for (long i = 0; i < rounds; i++) {
        PyObject *text = PyUnicode_FromStringAndSize(argv[2], size);
        PyObject *params = PyObject_CallFunctionObjArgs(loads, text, NULL);
        check(params);
        PyObject *value = PyObject_CallFunctionObjArgs(entry, params, context, NULL);
        check(value);
        PyObject *result = PyObject_CallFunctionObjArgs(dumps, value, NULL);
        check(result);
        Py_ssize_t n;
        check(PyUnicode_AsUTF8AndSize(result, &n));
        Py_DECREF(result);
        Py_DECREF(value);
        Py_DECREF(params);
        Py_DECREF(text);
    }
    printf("%.1f\n", (now() - began) / (double)rounds);
    return 0;
}
