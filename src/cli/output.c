/* Words and colours. See output.h. */
#include "cli/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_MAX 132

static const char *const say_colours[] = {
	[SAY_OK] = "\033[32;1m",
	[SAY_WARNING] = "\033[33;1m",
	[SAY_ERROR] = "\033[31;1m",
};

static void print_line(FILE *to, const char *colour, const char *format, va_list values)
{
	if (colour)
		fputs(colour, to);
	vfprintf(to, format, values);
	fputs(colour ? "\033[0m\n" : "\n", to);
	fflush(to);
}

void say(struct output *output, enum say_level level, const char *format, ...)
{
	if (output->silent)
		return;
	bool to_err = level != SAY_OK && !output->interactive;
	if (to_err)
		fflush(output->out);
	va_list values;
	va_start(values, format);
	print_line(to_err ? output->err : output->out,
	           output->colour && !to_err ? say_colours[level] : NULL, format, values);
	va_end(values);
}

void say_shell_error(struct output *output, const char *format, ...)
{
	fflush(output->out);
	va_list values;
	va_start(values, format);
	print_line(output->err, output->colour ? "\033[31m" : NULL, format, values);
	va_end(values);
}

void say_shell_info(struct output *output, const char *format, ...)
{
	va_list values;
	va_start(values, format);
	print_line(output->out, output->colour ? "\033[32m" : NULL, format, values);
	va_end(values);
}

void output_init(struct output *output, bool interactive)
{
	*output = (struct output){ .out = stdout, .err = stderr, .interactive = interactive };
	output->columns = WIDTH_MAX;
	if (!isatty(STDOUT_FILENO))
		return;
	output->colour = !getenv("NO_COLOR");
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col < WIDTH_MAX)
		output->columns = size.ws_col;
}
