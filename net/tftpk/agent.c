// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of the agent, and the dump of what it is asked. What genl.h declares runs in
 * process context, without tftpk_net.mutex.
 */
#include <linux/netlink.h>
#include <linux/notifier.h>
#include <net/genetlink.h>

#include "genl.h"
#include "netlink.h"
#include "resolve.h"

int tftpk_nl_resolve_attach_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	int err = 0;

	mutex_lock(&tn->mutex);
	if (tn->agent && tn->agent != info->snd_portid) {
		NL_SET_ERR_MSG(info->extack, "another agent answers already");
		err = -EBUSY;
	} else {
		if (!tn->agent) {
			tftpk_memory_flush(tn);
			WRITE_ONCE(tn->attached, tn->attached + 1);
		}
		WRITE_ONCE(tn->agent, info->snd_portid);
		tftpk_questions_retell(tn);
	}
	mutex_unlock(&tn->mutex);
	return err;
}

/* The agent's socket is closed. Its questions are the next one's. */
static int tftpk_agent_released(struct notifier_block *nb, unsigned long event,
				void *data)
{
	const struct netlink_notify *notify = data;
	struct tftpk_net *tn;

	if (event != NETLINK_URELEASE || notify->protocol != NETLINK_GENERIC)
		return NOTIFY_DONE;
	tn = tftpk_net(notify->net);
	if (READ_ONCE(tn->agent) != notify->portid)
		return NOTIFY_DONE;
	mutex_lock(&tn->mutex);
	if (tn->agent == notify->portid)
		WRITE_ONCE(tn->agent, 0);
	mutex_unlock(&tn->mutex);
	return NOTIFY_DONE;
}

static struct notifier_block tftpk_agent_notifier = {
	.notifier_call = tftpk_agent_released,
};

/* Where it is known. */
static int tftpk_put_mac(struct sk_buff *skb, struct net *net,
			 const struct tftpk_question *question)
{
	u8 mac[ETH_ALEN];
	bool known;

	rcu_read_lock();
	known = tftpk_route_mac(net, &question->key.client, question->iif, mac);
	rcu_read_unlock();
	return known ? nla_put(skb, TFTPK_A_QUESTION_MAC, sizeof(mac), mac) : 0;
}

static int tftpk_put_question(struct sk_buff *skb, struct net *net,
			      const struct tftpk_question *question)
{
	const struct tftpk_request *req = &question->req;
	const struct tftpk_key *key = &question->key;
	bool client = !ipv6_addr_any(&key->client);
	enum tftpk_transfer_mode mode = req->mode == TFTPK_MODE_NETASCII ?
						TFTPK_TRANSFER_MODE_NETASCII :
						TFTPK_TRANSFER_MODE_OCTET;

	return nla_put_u32(skb, TFTPK_A_QUESTION_ID, question->id) ||
	       nla_put_u32(skb, TFTPK_A_QUESTION_OPERATION,
			   question->operation) ||
	       nla_put_string(skb, TFTPK_A_QUESTION_NAME, req->name) ||
	       nla_put_u32(skb, TFTPK_A_QUESTION_MODE, mode) ||
	       (client && tftpk_put_address(skb, TFTPK_A_QUESTION_CLIENT_ADDRESS,
					    &key->client)) ||
	       (key->client_port &&
		nla_put_be16(skb, TFTPK_A_QUESTION_CLIENT_PORT,
			     key->client_port)) ||
	       (question->iif &&
		nla_put_u32(skb, TFTPK_A_QUESTION_IFINDEX, question->iif)) ||
	       tftpk_put_mac(skb, net, question) ||
	       (question->port &&
		(tftpk_put_address(skb, TFTPK_A_QUESTION_SERVER_ADDRESS,
				   &key->local) ||
		 nla_put_be16(skb, TFTPK_A_QUESTION_SERVER_PORT,
			      question->port))) ||
	       (tftpk_has_option(req, TFTPK_OPT_BLKSIZE) &&
		nla_put_u32(skb, TFTPK_A_QUESTION_BLOCK_SIZE, req->blksize)) ||
	       (tftpk_has_option(req, TFTPK_OPT_WINDOWSIZE) &&
		nla_put_u32(skb, TFTPK_A_QUESTION_WINDOW_SIZE,
			    req->windowsize)) ||
	       ((tftpk_has_option(req, TFTPK_OPT_TIMEOUT) ||
		 tftpk_has_option(req, TFTPK_OPT_UTIMEOUT)) &&
		nla_put_u32(skb, TFTPK_A_QUESTION_TIMEOUT, req->utimeout)) ||
	       nla_put_u32(skb, TFTPK_A_QUESTION_AGE,
			   jiffies_to_msecs(jiffies - question->asked)) ||
	       (question->transfer &&
		nla_put_u32(skb, TFTPK_A_QUESTION_TRANSFER,
			    question->transfer)) ||
	       (question->size != TFTPK_SIZE_UNKNOWN &&
		nla_put_u64_64bit(skb, TFTPK_A_QUESTION_SIZE, question->size,
				  TFTPK_A_QUESTION_PAD));
}

/* cb->args[0] is the last id that was told. */
int tftpk_nl_resolve_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb)
{
	struct tftpk_net *tn = tftpk_net(sock_net(cb->skb->sk));
	bool agent = NETLINK_CB(cb->skb).portid == READ_ONCE(tn->agent);
	struct tftpk_question *question;
	unsigned long id;
	int err = 0;

	/* What comes from now on is worth another notice. The lock orders this. */
	if (agent && !cb->args[0])
		WRITE_ONCE(tn->noticed, false);
	xa_lock_bh(&tn->questions);
	xa_for_each_start(&tn->questions, id, question, cb->args[0] + 1) {
		void *hdr;

		if (agent && question->told)
			continue;
		err = -EMSGSIZE;
		hdr = tftpk_dump_entry(skb, cb, TFTPK_CMD_RESOLVE_GET);
		if (hdr)
			err = tftpk_dump_end(skb, hdr,
					     tftpk_put_question(skb, tn->net, question));
		if (err)
			break;
		question->told |= agent;
		cb->args[0] = id;
	}
	xa_unlock_bh(&tn->questions);
	return skb->len ?: err;
}

static struct tftpk_answer *tftpk_get_file(struct genl_info *info, bool writing)
{
	struct tftpk_answer *answer = tftpk_answer_new(TFTPK_ANSWER_FILE, "");
	int err;

	if (!answer)
		return NULL;
	err = tftpk_answer_set_file(answer,
				    nla_get_u32(info->attrs[TFTPK_A_ANSWER_FD]),
				    writing);
	if (!err)
		return answer;
	if (err == -EBADF && writing)
		NL_SET_ERR_MSG(info->extack,
			       "not a descriptor that is open for writing, without O_APPEND, O_DIRECT or O_PATH");
	else if (err == -EBADF)
		NL_SET_ERR_MSG(info->extack,
			       "not a descriptor that is open for reading, without O_DIRECT or O_PATH");
	else
		NL_SET_ERR_MSG(info->extack,
			       "not a regular file, or on a pseudo file system");
	tftpk_answer_put(answer);
	return ERR_PTR(err);
}

static struct tftpk_answer *tftpk_get_error(struct genl_info *info)
{
	const struct nlattr *reason = info->attrs[TFTPK_A_ANSWER_REASON];
	struct tftpk_answer *answer;

	answer = tftpk_answer_new(TFTPK_ANSWER_ERROR,
				  reason ? nla_data(reason) : "");
	if (answer)
		answer->code = nla_get_u32(info->attrs[TFTPK_A_ANSWER_ERROR_CODE]);
	return answer;
}

static struct tftpk_answer *tftpk_get_welcome(struct genl_info *info)
{
	const struct nlattr *max_size = info->attrs[TFTPK_A_ANSWER_MAX_SIZE];
	struct tftpk_answer *answer;

	answer = tftpk_answer_new(TFTPK_ANSWER_WELCOME, "");
	if (answer)
		answer->max_size = max_size ? nla_get_u64(max_size) : U64_MAX;
	return answer;
}

/* Which attributes say what, and the operations that they answer. */
static const struct {
	u8 attr;
	u8 operations;
} tftpk_answers[] = {
	{ TFTPK_A_ANSWER_NAME, BIT(TFTPK_OPERATION_READ) },
	{ TFTPK_A_ANSWER_FD, BIT(TFTPK_OPERATION_READ) |
			     BIT(TFTPK_OPERATION_OPEN) },
	{ TFTPK_A_ANSWER_ERROR_CODE, 0xff },
	{ TFTPK_A_ANSWER_DEFAULT, BIT(TFTPK_OPERATION_READ) |
				  BIT(TFTPK_OPERATION_ACCEPT) },
	{ TFTPK_A_ANSWER_WELCOME, BIT(TFTPK_OPERATION_ACCEPT) |
				  BIT(TFTPK_OPERATION_COMMIT) },
};

/* Is it one answer, and one to that question? */
static int tftpk_check_answer(struct genl_info *info,
			      enum tftpk_operation operation)
{
	bool fits = true;
	int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(tftpk_answers); i++) {
		if (!info->attrs[tftpk_answers[i].attr])
			continue;
		n++;
		fits &= !!(tftpk_answers[i].operations & BIT(operation));
	}
	if (n != 1)
		NL_SET_ERR_MSG(info->extack,
			       "an answer is either a name, a descriptor, an error code, the default or a welcome");
	else if (!fits)
		NL_SET_ERR_MSG(info->extack,
			       "that answers questions about something else");
	return n == 1 && fits ? 0 : -EINVAL;
}

/* What the agent says; NULL for want of memory. */
static struct tftpk_answer *tftpk_get_answer(struct genl_info *info,
					     enum tftpk_operation operation)
{
	struct nlattr **attrs = info->attrs;
	int err = tftpk_check_answer(info, operation);

	if (err)
		return ERR_PTR(err);
	if (attrs[TFTPK_A_ANSWER_WELCOME])
		return tftpk_get_welcome(info);
	if (attrs[TFTPK_A_ANSWER_FD])
		return tftpk_get_file(info, operation == TFTPK_OPERATION_OPEN);
	if (attrs[TFTPK_A_ANSWER_ERROR_CODE])
		return tftpk_get_error(info);
	if (attrs[TFTPK_A_ANSWER_NAME])
		return tftpk_answer_new(TFTPK_ANSWER_NAME,
					nla_data(attrs[TFTPK_A_ANSWER_NAME]));
	return tftpk_answer_new(TFTPK_ANSWER_DEFAULT, "");
}

int tftpk_nl_resolve_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	enum tftpk_scope scope = TFTPK_SCOPE_CLIENT;
	struct tftpk_answer *answer;
	int operation, err;
	u32 id, ttl = 0;

	if (GENL_REQ_ATTR_CHECK(info, TFTPK_A_ANSWER_ID))
		return -EINVAL;
	id = nla_get_u32(info->attrs[TFTPK_A_ANSWER_ID]);
	if (info->snd_portid != READ_ONCE(tn->agent)) {
		NL_SET_ERR_MSG(info->extack, "this socket is not the agent's");
		return -EPERM;
	}
	if (info->attrs[TFTPK_A_ANSWER_TIME_TO_LIVE])
		ttl = nla_get_u32(info->attrs[TFTPK_A_ANSWER_TIME_TO_LIVE]);
	if (info->attrs[TFTPK_A_ANSWER_SCOPE])
		scope = nla_get_u32(info->attrs[TFTPK_A_ANSWER_SCOPE]);
	operation = tftpk_question_operation(tn, id);
	if (operation < 0)
		return operation;
	answer = tftpk_get_answer(info, operation);
	if (IS_ERR_OR_NULL(answer))
		return answer ? PTR_ERR(answer) : -ENOMEM;
	err = tftpk_resolve_set(tn, id, answer, ttl, scope);
	tftpk_answer_put(answer);
	return err;
}

int tftpk_nl_resolve_flush_doit(struct sk_buff *skb, struct genl_info *info)
{
	tftpk_memory_flush(tftpk_net(genl_info_net(info)));
	return 0;
}

/**
 * tftpk_agent_init() - learn of agents that go
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_agent_init(void)
{
	return netlink_register_notifier(&tftpk_agent_notifier);
}

/**
 * tftpk_agent_exit() - undo tftpk_agent_init()
 *
 * Context: process.
 */
void tftpk_agent_exit(void)
{
	netlink_unregister_notifier(&tftpk_agent_notifier);
}
