using System.Text;
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
        S: UTF8 USER
        S: LANG
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
        S: UTF8 USER
        S: LANG
        S: USER
        S: SASL LOGIN PLAIN
        S: IMPLEMENTATION MailPipeline
        S: .
        C: QUIT
        S: +OK bye
        """, [0x10000, 0x20000, 0x30000]);

    /// <summary>RFC 6856 §2.1, §5: not as it is, to who has not said UTF8; all but its content is there for him.</summary>
    [Theory, MemberData(nameof(Feeds))]
    public Task A_message_in_UTF8_is_kept_from_who_cannot_read_it(Feed feed) => RunAsync(feed, """
        S: +OK...
        C: USER ann@example.org
        S: +OK...
        C: PASS secret
        S: +OK 3 messages (99 octets)
        C: UTF8
        S: -ERR already logged in
        C: LIST 2
        S: +OK 2 40
        C: UIDL 2
        S: +OK 2 20000
        C: RETR 2
        S: -ERR [UTF8]...
        C: TOP 2 0
        S: -ERR [UTF8]...
        C: RETR 1
        S: +OK 29 octets
        S: Subject: one
        S: 
        S: first body.
        S: .
        C: DELE 2
        S: +OK message 2 deleted
        C: RETR 2
        S: -ERR no such message
        C: QUIT
        S: +OK bye
        """, [0x10000, 0x30000], inUtf8: 0x20000);

    [Theory, MemberData(nameof(Feeds))]
    public Task Who_says_UTF8_reads_every_message_as_it_is(Feed feed) => RunAsync(feed, """
        S: +OK...
        C: UTF8 now
        S: -ERR usage: UTF8
        C: UTF8
        S: +OK messages are sent as they are
        C: utf8
        S: +OK messages are sent as they are
        C: STLS
        S: -ERR say STLS before UTF8
        C: USER ann@example.org
        S: +OK...
        C: PASS secret
        S: +OK...
        C: TOP 2 0
        S: +OK top of message follows
        S: Subject: two
        S: 
        S: .
        C: QUIT
        S: +OK bye
        """, [0x10000, 0x20000, 0x30000], inUtf8: 0x20000);

    /// <summary>RFC 6856 §3.2, RFC 2277 §4.5, RFC 4647 §3.3.1.</summary>
    [Theory, MemberData(nameof(Feeds))]
    public Task Texts_are_in_English(Feed feed) => RunAsync(feed, """
        S: +OK...
        C: LANG
        S: +OK languages follow
        S: en English
        S: i-default English
        S: .
        C: LANG *
        S: +OK en texts are in English
        C: LANG EN
        S: +OK en texts are in English
        C: LANG i-default
        S: +OK i-default texts are in English
        C: LANG de
        S: -ERR no such language; LANG lists those that are there
        C: LANG en-GB
        S: -ERR no such language; LANG lists those that are there
        C: LANG en de
        S: -ERR usage: LANG [language]
        C: USER ann@example.org
        S: +OK...
        C: PASS secret
        S: +OK...
        C: LANG en
        S: +OK en texts are in English
        C: QUIT
        S: +OK bye
        """, [0x10000, 0x20000, 0x30000]);

    /// <summary>RFC 6856 §2.2, by SASLprep: what is not seen is left out, and what must not be there is refused.</summary>
    [Theory]
    [InlineData("jos\u00e9@example.org", "+OK")]
    [InlineData("jo\u00ads\u00e9@example.org", "+OK")]
    [InlineData("jos\ue000@example.org", "-ERR no user name")]
    [InlineData("jos\u2028@example.org", "-ERR no user name")]
    [InlineData("\u00ad", "-ERR no user name")]
    public async Task A_user_name_may_be_in_UTF8(string name, string answer)
    {
        using var harness = new Pop3Harness();
        harness.Maildrops.AddAccount("jos\u00e9@example.org", "s\u00e9cret");
        var wire = harness.Connect();
        await wire.LineAsync();
        Assert.StartsWith(answer, await wire.AskAsync(AsOctets($"USER {name}")), StringComparison.Ordinal);
        if (answer == "+OK")
            Assert.StartsWith("+OK", await wire.AskAsync(AsOctets("PASS s\u00e9cret")), StringComparison.Ordinal);
    }

    /// <summary>A character for each octet of UTF-8, as lines are sent.</summary>
    private static string AsOctets(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));

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
        S: UTF8 USER
        S: LANG
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

    private static async Task RunAsync(Feed feed, string transcript, long[] left, Action<MailboxOptions>? configure = null, long inUtf8 = 0)
    {
        using var harness = new Pop3Harness(configure);
        harness.Maildrops.InUtf8.Add(inUtf8);
        harness.Maildrops.AddMessage(harness.AnnId, "Subject: one\r\n\r\nfirst body.\r\n");
        harness.Maildrops.AddMessage(harness.AnnId, "Subject: two\r\n\r\n.\r\n.dots\r\n......\r\nlast\r\n");
        harness.Maildrops.AddMessage(harness.AnnId, "Subject: three\r\n\r\nthird body\r\n");
        await Transcript.RunAsync(harness.Connect(), transcript, feed);
        Assert.Equal(left, harness.Maildrops.Uids);
        Assert.False(harness.Maildrops.IsLocked(harness.AnnId));
    }
}
