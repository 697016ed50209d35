// SPDX-License-Identifier: GPL-2.0
/* What transfers were asked for, as events tell it. */
#include "tftpkctl.h"

/*
 * Transfers whose requested name is remembered. Numbers of transfers ascend:
 * one is forgotten when so many have begun after it.
 */
#define NAMES	8192

/*
 * add_name() - only what happens first tells the name that was asked for: remember
 * it, and add it to what comes later
 */
void add_name(json_t *event)
{
	static struct {
		long long id;
		json_t *name;
	} slots[NAMES];
	json_t *name = object_get(event, "name");
	long long id = object_number(event, "id");
	size_t slot = (size_t)id % NAMES;

	if (id < 0)
		return;
	if (json_is_string(name)) {
		json_decref(slots[slot].name);
		slots[slot].name = json_incref(name);
		slots[slot].id = id;
	} else if (slots[slot].name && slots[slot].id == id) {
		object_put(event, "name", json_incref(slots[slot].name));
	}
}
