// SPDX-License-Identifier: GPL-2.0
/* Netlink messages as JSON. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <linux/genetlink.h>

#include "tftpkctl.h"

/* What a number stands for. */
static const char *word_for(const char *const *words, unsigned long long number)
{
	while (*words && number) {
		words++;
		number--;
	}
	return *words ? *words : "unknown";
}

/* An unsigned integer of the host's byte order and any width. */
static bool read_number(const struct nlattr *attr, unsigned long long *value)
{
	const void *payload = mnl_attr_get_payload(attr);
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (mnl_attr_get_payload_len(attr)) {
	case sizeof(uint8_t):
		*value = *(const uint8_t *)payload;
		return true;
	case sizeof(u16):
		memcpy(&u16, payload, sizeof(u16));
		*value = u16;
		return true;
	case sizeof(u32):
		memcpy(&u32, payload, sizeof(u32));
		*value = u32;
		return true;
	case sizeof(u64):
		memcpy(&u64, payload, sizeof(u64));
		/* JSON integers are signed here. */
		*value = u64 > INT64_MAX ? INT64_MAX : u64;
		return true;
	default:
		return false;
	}
}

static void decode_attr(json_t *object, const struct field *field,
			const struct nlattr *attr)
{
	const unsigned char *payload = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);
	unsigned long long value = 0;

	switch (field->type) {
	case FIELD_FLAG:
		object_put(object, field->name, json_true());
		return;
	case FIELD_STRING:
		object_put(object, field->name,
			   json_bytes(payload, strnlen((const char *)payload, len)));
		return;
	case FIELD_ADDRESS:
		object_put(object, field->name, json_address(payload, len));
		return;
	case FIELD_MAC:
		object_put(object, field->name, json_mac(payload, len));
		return;
	case FIELD_HEX:
		object_put(object, field->name, json_hex(payload, len));
		return;
	case FIELD_PORT:
		if (len == sizeof(uint16_t))
			object_put(object, field->name,
				   json_integer(payload[0] << 8 | payload[1]));
		return;
	default:
		break;
	}

	if (!read_number(attr, &value))
		return;
	if (field->type == FIELD_BOOLEAN)
		object_put(object, field->name, json_boolean(value));
	else if (field->type == FIELD_WORD)
		object_put(object, field->name,
			   json_string(word_for(field->words, value)));
	else if (field->type == FIELD_INTERFACE)
		put_interface(object, (uint32_t)value);
	else
		object_put(object, field->name, json_integer((json_int_t)value));
}

/* A range is told by both of its ends. */
static void decode_range(json_t *object, const struct field *field,
			 const struct nlattr *first, const struct nlattr *last)
{
	unsigned long long low = 0, high = 0;

	if (last && read_number(first, &low) && read_number(last, &high))
		object_put(object, field->name,
			   json_range((uint32_t)low, (uint32_t)high));
}

/* The attribute of that type, or NULL. */
static const struct nlattr *find_attr(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

/* A network as text, or NULL. */
static json_t *decode_network(const struct nlattr *nest)
{
	json_auto_t *network = check_alloc(json_object());
	const struct nlattr *attr;
	unsigned long long length;

	mnl_attr_for_each_nested(attr, nest) {
		if (mnl_attr_get_type(attr) == TFTPK_A_NETWORK_ADDRESS)
			object_put(network, "address",
				   json_address(mnl_attr_get_payload(attr),
						mnl_attr_get_payload_len(attr)));
		else if (mnl_attr_get_type(attr) == TFTPK_A_NETWORK_PREFIX_LENGTH &&
			 read_number(attr, &length))
			object_put(network, "length", json_integer((json_int_t)length));
	}
	if (!json_is_string(object_get(network, "address")))
		return NULL;
	return json_sprintf("%s/%lld",
			    json_string_value(object_get(network, "address")),
			    object_number(network, "length"));
}

/* All networks of a kind, sorted. */
static json_t *decode_networks(const struct nlmsghdr *nlh, uint16_t type)
{
	json_t *list = check_alloc(json_array());
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		json_t *network = mnl_attr_get_type(attr) == type ?
					  decode_network(attr) : NULL;

		if (network)
			array_sort_in(list, network);
	}
	return list;
}

/* A histogram's buckets; the bound of the last one is null. */
static json_t *decode_buckets(const struct nlmsghdr *nlh, uint16_t type)
{
	json_t *list = check_alloc(json_array());
	const struct nlattr *attr, *inner;
	unsigned long long value;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		json_t *bucket;

		if (mnl_attr_get_type(attr) != type)
			continue;
		bucket = check_alloc(json_object());
		object_put(bucket, "at-most", json_null());
		object_put(bucket, "count", json_integer(0));
		mnl_attr_for_each_nested(inner, attr) {
			if (!read_number(inner, &value))
				continue;
			if (mnl_attr_get_type(inner) == TFTPK_A_BUCKET_AT_MOST)
				object_put(bucket, "at-most",
					   json_integer((json_int_t)value));
			else if (mnl_attr_get_type(inner) == TFTPK_A_BUCKET_COUNT)
				object_put(bucket, "count",
					   json_integer((json_int_t)value));
		}
		array_append(list, bucket);
	}
	return list;
}

/* decode_message() - append it as an object: every field is in it, null if not told. */
void decode_message(const struct nlmsghdr *nlh, void *data)
{
	const struct decoder *decoder = data;
	json_t *object = check_alloc(json_object());
	size_t i;

	for (i = 0; i < decoder->count; i++) {
		const struct field *field = &decoder->fields[i];
		const struct nlattr *attr = find_attr(nlh, field->attr);

		if (field->type == FIELD_INTERFACE)
			put_interface(object, 0);
		else
			object_put(object, field->name,
				   field->type == FIELD_FLAG ? json_false() :
							       json_null());
		if (field->type == FIELD_NETWORKS)
			object_put(object, field->name,
				   decode_networks(nlh, field->attr));
		else if (field->type == FIELD_BUCKETS)
			object_put(object, field->name,
				   decode_buckets(nlh, field->attr));
		else if (attr && field->type == FIELD_RANGE)
			decode_range(object, field, attr,
				     find_attr(nlh, field->attr + 1));
		else if (attr)
			decode_attr(object, field, attr);
	}
	array_append(decoder->list, object);
}
