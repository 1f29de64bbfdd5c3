using MailPipeline.Mailbox.Tests.Kit;

namespace MailPipeline.Mailbox.Tests;

/// <summary>Dialogues of RFC 1939 and RFC 2449, each run whole, line by line and octet by octet.</summary>
public sealed class Pop3TranscriptTests
{
    public static TheoryData<Feed> Feeds => [Feed.Whole, Feed.ByLine, Feed.ByOctet];

    [Theory, MemberData(nameof(Feeds))]
    public Task A_session_reads_and_deletes(Feed feed) => RunAsync(feed, """
        S: +OK MailPipeline POP3 ready
        C: USER ann@example.org
        S: +OK send PASS
        C: PASS secret
        S: +OK 3 messages (99 octets)
        C: STAT
        S: +OK 3 99
        C: LIST
        S: +OK 3 messages (99 octets)
        S: 1 29
        S: 2 40
        S: 3 30
        S: .
        C: LIST 2
        S: +OK 2 40
        C: UIDL
        S: +OK unique-ids follow
        S: 1 10000
        S: 2 20000
        S: 3 30000
        S: .
        C: UIDL 3
        S: +OK 3 30000
        C: RETR 1
        S: +OK 29 octets
        S: Subject: one
        S: 
        S: first body.
        S: .
        C: DELE 1
        S: +OK message 1 deleted
        C: STAT
        S: +OK 2 70
        C: LIST
        S: +OK 2 messages (70 octets)
        S: 2 40
        S: 3 30
        S: .
        C: RETR 1
        S: -ERR no such message
        C: DELE 1
        S: -ERR no such message
        C: RSET
        S: +OK 3 messages (99 octets)
        C: DELE 3
        S: +OK message 3 deleted
        C: NOOP
        S: +OK
        C: QUIT
        S: +OK bye
        """, [0x10000, 0x20000]);

    [Theory, MemberData(nameof(Feeds))]
    public Task Lines_that_begin_with_dots_are_stuffed(Feed feed) => RunAsync(feed, """
        S: +OK...
        C: USER ann@example.org
        S: +OK...
        C: PASS secret
        S: +OK...
        C: RETR 2
        S: +OK 40 octets
        S: Subject: two
        S: 
        S: ..
        S: ..dots
        S: .......
        S: last
        S: .
        C: TOP 2 2
        S: +OK top of message follows
        S: Subject: two
        S: 
        S: ..
        S: ..dots
        S: .
        C: TOP 2 0
        S: +OK top of message follows
        S: Subject: two
        S: 
        S: .
        C: TOP 2 4294967295
        S: +OK top of message follows
        S: Subject: two
        S: 
        S: ..
        S: ..dots
        S: .......
        S: last
        S: .
        C: QUIT
        S: +OK bye
        """, [0x10000, 0x20000, 0x30000]);

    [Theory, MemberData(nameof(Feeds))]
    public Task Capabilities_depend_on_the_state(Feed feed) => RunAsync(feed, """
        S: +OK...
        C: capa
        S: +OK capabilities follow
        S: TOP
        S: UIDL
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: EXPIRE NEVER
        S: USER
        S: SASL LOGIN PLAIN
        S: STLS
        S: .
        C: user ann@example.org
        S: +OK...
        C: pass secret
        S: +OK...
        C: CAPA
        S: +OK capabilities follow
        S: TOP
        S: UIDL
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: EXPIRE NEVER
        S: USER
        S: SASL LOGIN PLAIN
        S: IMPLEMENTATION MailPipeline
        S: .
        C: QUIT
        S: +OK bye
        """, [0x10000, 0x20000, 0x30000]);

    [Theory, MemberData(nameof(Feeds))]
    public Task Wrong_commands_are_answered_and_change_nothing(Feed feed) => RunAsync(feed, """
        S: +OK...
        C: 
        S: -ERR unknown command
        C: STAT
        S: -ERR log in first
        C: RETR 1
        S: -ERR log in first
        C: APOP ann 0123456789
        S: -ERR unknown command
        C: PASS secret
        S: -ERR send USER first
        C: USER
        S: -ERR usage: USER name
        C: USER ann@example.org
        S: +OK...
        C: PASS
        S: -ERR usage: PASS password
        C: USER ann@example.org
        S: +OK...
        C: PASS secret
        S: +OK...
        C: USER ann@example.org
        S: -ERR already logged in
        C: STLS
        S: -ERR already logged in
        C: RETR 0
        S: -ERR no such message
        C: RETR 4
        S: -ERR no such message
        C: RETR -1
        S: -ERR the message number must be a number
        C: RETR 99999999999999999999
        S: -ERR the message number must be a number
        C: DELE
        S: -ERR usage: DELE number
        C: LIST 1 2
        S: -ERR usage: LIST [number]
        C: TOP 1
        S: -ERR usage: TOP number lines
        C: TOP 1 x
        S: -ERR the number of lines must be a number
        C: LIST 1 
        S: +OK 1 29
        C: QUIT
        S: +OK bye
        """, [0x10000, 0x20000, 0x30000]);

    [Theory, MemberData(nameof(Feeds))]
    public Task Hostile_lines_get_one_answer_each(Feed feed) => RunAsync(feed, $"""
        S: +OK...
        C: USER ann\x00@example.org
        S: -ERR bad character
        C: NO\x0dOP
        S: -ERR bad character
        C: NOOP\x0aNOOP
        S: -ERR lines end with CR LF
        S: -ERR log in first
        C: USER \xff\xfe
        S: -ERR bad character
        C: USER {new string('a', 248)}
        S: +OK send PASS
        C: USER {new string('a', 249)}
        S: -ERR line too long
        C: {new string('a', 100_000)}
        S: -ERR line too long
        C: GET / HTTP/1.1
        S: -ERR unknown command
        C: QUIT
        S: +OK bye
        """, [0x10000, 0x20000, 0x30000]);

    [Theory, MemberData(nameof(Feeds))]
    public Task Too_many_failed_logins_end_the_connection(Feed feed) => RunAsync(feed, """
        S: +OK...
        C: USER ann@example.org
        S: +OK...
        C: PASS wrong
        S: -ERR [AUTH] user name or password is wrong
        C: USER nobody@example.org
        S: +OK...
        C: PASS secret
        S: -ERR [AUTH] user name or password is wrong
        C: USER ann@example.org
        S: +OK...
        C: PASS secret 
        S: -ERR [AUTH] user name or password is wrong
        """, [0x10000, 0x20000, 0x30000]);

    [Theory, MemberData(nameof(Feeds))]
    public Task Too_many_bad_commands_end_the_connection(Feed feed) => RunAsync(feed, """
        S: +OK...
        C: HELO a
        S: -ERR unknown command
        C: HELO b
        S: -ERR unknown command
        C: HELO c
        S: -ERR too many bad commands
        C: USER ann@example.org
        """, [0x10000, 0x20000, 0x30000], options => options.MaxBadCommands = 3);

    [Theory, MemberData(nameof(Feeds))]
    public Task Passwords_are_not_taken_in_clear_text(Feed feed) => RunAsync(feed, """
        S: +OK...
        C: CAPA
        S: +OK capabilities follow
        S: TOP
        S: UIDL
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: EXPIRE NEVER
        S: STLS
        S: .
        C: USER ann@example.org
        S: -ERR passwords are not taken in clear text; send STLS first
        C: PASS secret
        S: -ERR passwords are not taken in clear text; send STLS first
        C: STAT
        S: -ERR log in first
        C: QUIT
        S: +OK bye
        """, [0x10000, 0x20000, 0x30000], options => options.AllowCleartextLogin = CleartextLogin.Never);

    private static async Task RunAsync(Feed feed, string transcript, long[] left, Action<MailboxOptions>? configure = null)
    {
        using var harness = new Pop3Harness(configure);
        harness.Maildrops.AddMessage(harness.AnnId, "Subject: one\r\n\r\nfirst body.\r\n");
        harness.Maildrops.AddMessage(harness.AnnId, "Subject: two\r\n\r\n.\r\n.dots\r\n......\r\nlast\r\n");
        harness.Maildrops.AddMessage(harness.AnnId, "Subject: three\r\n\r\nthird body\r\n");
        await Transcript.RunAsync(harness.Connect(), transcript, feed);
        Assert.Equal(left, harness.Maildrops.Uids);
        Assert.False(harness.Maildrops.IsLocked(harness.AnnId));
    }
}
