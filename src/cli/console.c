/* The interactive loop (libedit). See console.h. */
#include "cli/console.h"

#include "cli/complete.h"
#include "cli/render.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <wchar.h>

#define HISTORY_LINES    1000
#define WATCH_INTERVAL_S 10

struct console {
	struct shell *shell;
	EditLine *edit;
	History *history;
	char *history_file; /* NULL: none */
	char *prompt;
	time_t watched;
};

static struct console *console_of(EditLine *edit)
{
	struct console *console = NULL;
	el_get(edit, EL_CLIENTDATA, &console);
	return console;
}

static char *prompt_of(EditLine *edit)
{
	static char empty[] = "> ";
	struct console *console = console_of(edit);
	return console->prompt ? console->prompt : empty;
}

/* --- keys --- */

static unsigned char cancel_line(EditLine *edit, int key)
{
	const LineInfo *line = el_line(edit);
	fputs("^C\n", stdout);
	el_cursor(edit, (int)(line->lastchar - line->cursor));
	el_deletestr(edit, (int)(line->lastchar - line->buffer));
	return CC_REDISPLAY;
}

static void show_choices(struct console *console, const struct completion *completion)
{
	fputc('\n', stdout);
	render_columns(stdout, console->shell->output.columns, completion->words,
	               completion->count);
}

static unsigned char complete_line(EditLine *edit, int key)
{
	struct console *console = console_of(edit);
	const LineInfo *line = el_line(edit);
	AUTO_FREE char *text = strndup(line->buffer, (size_t)(line->cursor - line->buffer));
	struct completion completion = { 0 };
	if (!text || complete(console->shell, text, &completion) < 0 || completion.count == 0)
		return CC_ERROR;
	AUTO_FREE char *common = completion_common(&completion);
	size_t typed = strlen(text) - completion.word_start;
	unsigned char result = CC_NORM;
	if (common && strlen(common) > typed) {
		el_insertstr(edit, common + typed);
		result = CC_REFRESH;
	} else if (completion.count > 1) {
		show_choices(console, &completion);
		result = CC_REDISPLAY;
	}
	completion_done(&completion);
	return result;
}

/* --- history --- */

static void remember(struct console *console, const char *text)
{
	HistEvent event;
	if (shell_line_is_secret(console->shell, text))
		return;
	history(console->history, &event, H_ENTER, text);
	if (!console->history_file)
		return;
	int fd = open(console->history_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return; /* the shell works without */
	dprintf(fd, "%s\n", text);
	close(fd);
}

static void load_history(struct console *console)
{
	HistEvent event;
	FILE *file = console->history_file ? fopen(console->history_file, "re") : NULL;
	AUTO_FREE char *text = NULL;
	size_t room = 0;
	while (file && getline(&text, &room, file) > 0) {
		text[strcspn(text, "\n")] = '\0';
		if (*text)
			history(console->history, &event, H_ENTER, text);
	}
	if (file)
		fclose(file);
}

/* --- the loop --- */

static void on_interrupt(int number)
{
	api_interrupt();
}

static int console_open(struct console *console, struct shell *shell)
{
	HistEvent event;
	*console = (struct console){ .shell = shell };
	const char *folder = shell->options.folder;
	if (folder && (mkdir(folder, 0700) == 0 || errno == EEXIST) &&
	    asprintf(&console->history_file, "%s/history.txt", folder) < 0)
		console->history_file = NULL;
	console->edit = el_init("gwcli", stdin, stdout, stderr);
	console->history = history_init();
	if (!console->edit || !console->history)
		return -ENOMEM;
	history(console->history, &event, H_SETSIZE, HISTORY_LINES);
	history(console->history, &event, H_SETUNIQUE, 1);
	load_history(console);
	el_set(console->edit, EL_CLIENTDATA, console);
	el_set(console->edit, EL_PROMPT, prompt_of);
	el_set(console->edit, EL_EDITOR, "emacs");
	el_set(console->edit, EL_HIST, history, console->history);
	/* Not el_set: it would copy the names and never free them. */
	el_wset(console->edit, EL_ADDFN, L"gwcli-complete", L"complete the word", complete_line);
	el_wset(console->edit, EL_ADDFN, L"gwcli-cancel", L"cancel the line", cancel_line);
	el_set(console->edit, EL_BIND, "^I", "gwcli-complete", NULL);
	/* ^C and ^Z come as keys: one cancels the line, the other does nothing. */
	el_set(console->edit, EL_SETTY, "-d", "-isig", NULL);
	el_set(console->edit, EL_BIND, "^C", "gwcli-cancel", NULL);
	el_set(console->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	/* While a command runs, ^C ends its waiting. */
	struct sigaction action = { .sa_handler = on_interrupt };
	sigaction(SIGINT, &action, NULL);
	signal(SIGTSTP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static void console_close(struct console *console)
{
	if (console->history)
		history_end(console->history);
	if (console->edit)
		el_end(console->edit);
	free(console->history_file);
	free(console->prompt);
}

static void watch_gateways(struct console *console)
{
	time_t now = time(NULL);
	if (console->watched && now - console->watched < WATCH_INTERVAL_S)
		return;
	if (console->watched)
		model_forget(&console->shell->model);
	console->watched = now;
	shell_watch_gateways(console->shell);
}

int console_run(struct shell *shell)
{
	struct console console;
	if (console_open(&console, shell) < 0) {
		console_close(&console);
		return console_run_pipe(shell, stdin);
	}
	enum outcome outcome = OUTCOME_DONE;
	while (outcome != OUTCOME_EXIT) {
		int len = 0;
		watch_gateways(&console);
		free(console.prompt);
		console.prompt = shell_prompt(shell);
		const char *typed = el_gets(console.edit, &len);
		if (!typed || len <= 0) {
			fputs("exit\n", stdout);
			break;
		}
		AUTO_FREE char *text = strndup(typed, strcspn(typed, "\n"));
		if (!text || !text[strspn(text, " \t")])
			continue;
		remember(&console, text);
		outcome = shell_run(shell, text);
		wipe(text, strlen(text));
	}
	console_close(&console);
	return 0;
}

int console_run_pipe(struct shell *shell, FILE *in)
{
	AUTO_FREE char *text = NULL;
	size_t room = 0;
	int status = 0;
	while (getline(&text, &room, in) > 0) {
		text[strcspn(text, "\n")] = '\0';
		enum outcome outcome = shell_run(shell, text);
		if (outcome == OUTCOME_EXIT)
			break;
		if (!status)
			status = outcome;
	}
	return status;
}
