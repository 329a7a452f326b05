/* Reservations as text: what is written is read back, and nothing else is let in. */
#include "scsi/reservation_text.h"

#include "base/bytes.h"
#include "base/text.h"
#include "scsi/sense.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 1;
static unsigned draw(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static void draw_port(struct reservation_port *port, unsigned i)
{
	static const char *const names[] = { "iqn.1994-05.com.redhat:c", "eui.02004567A425678D",
		                             "iqn.2001-04.org.example:\"q\\uote\" \xc3\xa4" };
	memset(port, 0, sizeof *port);
	(void)snprintf(port->initiator, sizeof port->initiator, "%s%u",
	               names[draw(ARRAY_LEN(names))], i);
	(void)snprintf(port->target, sizeof port->target, "iqn.2003-01.com.redhat.iscsi-gw:igw");
	for (size_t j = 0; j < sizeof port->isid; j++)
		port->isid[j] = (uint8_t)draw(256);
	port->tag = (uint16_t)(1 + draw(4));
}

static void draw_text(struct reservation_text *text)
{
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	struct reservations *state = &text->reservations;
	reservations_init(state);
	list_init(&text->notices);
	unsigned count = draw(8);
	for (unsigned i = 0; i < count; i++) {
		struct reservation_port port;
		draw_port(&port, i);
		ASSERT_EQ(reservations_add(state, &port, 1 + ((uint64_t)draw(1u << 31) << 31),
		                           draw(3) == 0),
		          0);
	}
	state->generation = draw(1u << 31);
	state->aptpl = draw(2);
	text->epoch = draw(1000);
	if (count && draw(2)) {
		struct list *link = state->registrations.next;
		for (unsigned i = draw(count); i; i--)
			link = link->next;
		reservation_set(state, types[draw(ARRAY_LEN(types))],
		                list_entry(link, struct registration, link));
	}
	if (!count && draw(2)) {
		state->reserved = true;
		state->reserver_here = draw(2);
		draw_port(&state->reserver, 99);
	}
	for (unsigned i = draw(4); i; i--) {
		struct reservation_notice *notice = calloc(1, sizeof *notice);
		draw_port(&notice->port, i);
		notice->code = SENSE_RESERVATIONS_PREEMPTED + draw(3);
		list_append(&text->notices, &notice->link);
	}
}

static char *format(const struct reservation_text *text)
{
	char *formatted =
	        reservation_text_format(&text->reservations, text->epoch, &text->notices, NULL);
	ASSERT_NOT_NULL(formatted);
	return formatted;
}

TEST(what_is_written_is_read_back)
{
	for (unsigned i = 0; i < 300; i++) {
		struct reservation_text text, read = { 0 };
		struct error err = { 0 };
		draw_text(&text);
		AUTO_FREE char *first = format(&text);
		if (reservation_text_parse(first, &read, &err) < 0)
			print_message("# %s\n# %s\n", first, err.text);
		ASSERT_EQ(err.code, 0);
		AUTO_FREE char *second = format(&read);
		ASSERT_STR_EQ(first, second);
		ASSERT_EQ(read.epoch, text.epoch);
		ASSERT_EQ(read.reservations.generation, text.reservations.generation);
		ASSERT_EQ(!read.reservations.holder, !text.reservations.holder);
		if (read.reservations.holder)
			ASSERT_TRUE(reservation_port_equal(&read.reservations.holder->port,
			                                   &text.reservations.holder->port));
		reservation_text_done(&text);
		reservation_text_done(&read);
	}
}

#define PORT  "\"initiator\":\"iqn.a:b\",\"isid\":\"00023d000001\",\"target\":\"iqn.t:t\",\"tag\":1"
#define ENTRY "{" PORT ",\"key\":\"0000000000000011\",\"all_target_ports\":false}"
#define HEAD  "\"version\":1,\"epoch\":3,\"generation\":4,\"aptpl\":true"
#define TAIL  "\"attentions\":[]"

TEST(members_that_nobody_knows_are_ignored)
{
	struct reservation_text read = { 0 };
	struct error err;
	ASSERT_EQ(reservation_text_parse("{" HEAD ",\"registrations\":[" ENTRY "]," TAIL
	                                 ",\"later\":{\"x\":[1]}}",
	                                 &read, &err),
	          0);
	ASSERT_EQ(read.reservations.count, 1);
	ASSERT_TRUE(read.reservations.aptpl);
	reservation_text_done(&read);
}

TEST(whatever_is_not_right_is_refused_and_named)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "not JSON" },
		{ "null", "not JSON" },
		{ "[]", "not an object" },
		{ "{}", "version is not a number" },
		{ "{\"version\":2}", "version is out of range" },
		{ "{\"version\":1,\"version\":1}", "duplicate" },
		{ "{\"version\":1,\"epoch\":-1}", "epoch is out of range" },
		{ "{\"version\":1,\"epoch\":1.5}", "epoch is not a number" },
		{ "{\"version\":1,\"epoch\":1,\"generation\":4294967296}", "generation is out of" },
		{ "{\"version\":1,\"epoch\":1,\"generation\":1,\"aptpl\":1}", "aptpl is neither" },
		{ "{" HEAD "}", "registrations is not a list" },
		{ "{" HEAD ",\"registrations\":{}}", "registrations is not a list" },
		{ "{" HEAD ",\"registrations\":[3]}", "registrations[0] is not an object" },
		{ "{" HEAD ",\"registrations\":[" ENTRY ",{}]}",
		  "registrations[1].initiator is not" },
		{ "{" HEAD ",\"registrations\":[" ENTRY "," ENTRY "]}",
		  "registrations[1] is there twice" },
		{ "{" HEAD ",\"registrations\":[{" PORT "}]}", "registrations[0].key" },
		{ "{" HEAD ",\"registrations\":[{" PORT ",\"key\":\"0000000000000000\","
		  "\"all_target_ports\":false}]}",
		  "key is zero" },
		{ "{" HEAD ",\"registrations\":[{" PORT ",\"key\":\"0000000000000011\"}]}",
		  "all_target_ports is neither" },
		{ "{" HEAD ",\"registrations\":[{\"initiator\":\"a\",\"target\":\"t\","
		  "\"isid\":\"0002\"}]}",
		  "isid is not" },
		{ "{" HEAD ",\"registrations\":[{\"initiator\":\"a\",\"target\":\"t\","
		  "\"isid\":\"0002zz000001\"}]}",
		  "isid is not" },
		{ "{" HEAD ",\"registrations\":[{\"initiator\":\"a\",\"target\":\"t\","
		  "\"isid\":\"00023d000001\",\"tag\":65536}]}",
		  "tag is out of range" },
		{ "{" HEAD ",\"registrations\":[],\"reservation\":{\"type\":1}}",
		  "nobody is registered" },
		{ "{" HEAD ",\"registrations\":[" ENTRY
		  "],\"reservation\":{\"type\":2,\"holder\":0}}",
		  "type is no type" },
		{ "{" HEAD ",\"registrations\":[" ENTRY "],\"reservation\":{\"type\":1}}",
		  "holder is not a number" },
		{ "{" HEAD ",\"registrations\":[" ENTRY
		  "],\"reservation\":{\"type\":1,\"holder\":1}}",
		  "holder is out of range" },
		{ "{" HEAD ",\"registrations\":[" ENTRY "],\"reserve6\":{}}", "beside persistent" },
		{ "{" HEAD ",\"registrations\":[],\"reserve6\":{" PORT "}}", "reserve6.here" },
		{ "{" HEAD ",\"registrations\":[],\"reserve6\":7}", "reserve6 is not an object" },
		{ "{" HEAD ",\"registrations\":[]}", "attentions is not a list" },
		{ "{" HEAD ",\"registrations\":[],\"attentions\":[{" PORT ",\"code\":403712}]}",
		  "code is no unit attention" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].text);
		struct reservation_text read = { 0 };
		struct error err = { 0 };
		ASSERT_EQ(reservation_text_parse(rows[i].text, &read, &err), -EBADMSG);
		if (!strstr(err.text, rows[i].says))
			fail_msg("it says: %s", err.text);
		reservation_text_done(&read);
	}
}

TEST(a_torn_text_is_refused_at_every_byte)
{
	struct reservation_text text;
	do {
		draw_text(&text);
		if (text.reservations.count > 2 && text.reservations.type)
			break;
		reservation_text_done(&text);
	} while (true);
	AUTO_FREE char *whole = format(&text);
	for (size_t len = 0; len < strlen(whole); len++) {
		AUTO_FREE char *torn = strndup(whole, len);
		struct reservation_text read = { 0 };
		struct error err;
		ASSERT_EQ(reservation_text_parse(torn, &read, &err), -EBADMSG);
		reservation_text_done(&read);
	}
	reservation_text_done(&text);
}

TEST(a_damaged_text_is_refused_or_read_but_never_half)
{
	struct reservation_text text;
	draw_text(&text);
	AUTO_FREE char *whole = format(&text);
	for (unsigned i = 0; i < 5000; i++) {
		AUTO_FREE char *damaged = strdup(whole);
		for (unsigned j = 1 + draw(3); j; j--)
			damaged[draw((unsigned)strlen(whole))] = (char)(1 + draw(255));
		struct reservation_text read = { 0 };
		struct error err;
		if (reservation_text_parse(damaged, &read, &err) == 0)
			free(format(&read));
		else
			ASSERT_EQ(read.reservations.count, 0);
		reservation_text_done(&read);
	}
	reservation_text_done(&text);
}

TEST(lists_and_texts_are_bounded)
{
	AUTO_STRING struct string text = { 0 };
	string_add(&text, "{" HEAD ",\"registrations\":[");
	for (unsigned i = 0; i <= REGISTRATIONS_MAX; i++)
		string_format(&text,
		              "%s{\"initiator\":\"i%u\",\"isid\":\"00023d000001\",\"target\":\"t\","
		              "\"tag\":1,\"key\":\"0000000000000011\",\"all_target_ports\":false}",
		              i ? "," : "", i);
	string_add(&text, "]," TAIL "}");
	struct reservation_text read = { 0 };
	struct error err;
	ASSERT_EQ(reservation_text_parse(text.text, &read, &err), -EBADMSG);
	ASSERT_NOT_NULL(strstr(err.text, "too many"));

	AUTO_FREE char *blanks = malloc(RESERVATION_TEXT_MAX + 2);
	memset(blanks, ' ', RESERVATION_TEXT_MAX + 1);
	blanks[RESERVATION_TEXT_MAX + 1] = 0;
	ASSERT_EQ(reservation_text_parse(blanks, &read, &err), -EBADMSG);
	ASSERT_NOT_NULL(strstr(err.text, "more than"));
	reservation_text_done(&read);
}
