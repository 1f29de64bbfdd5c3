using System.Text;
using CsCheck;
using MailPipeline.Mail;
using MailPipeline.Mailbox.Pop3;
using MailPipeline.Mailbox.Tests.Kit;

namespace MailPipeline.Mailbox.Tests;

/// <summary>What holds for any input.</summary>
public sealed class Pop3PropertyTests
{
    private static readonly string[] Verbs = [.. Pop3Commands.Table.Keys, "APOP", ""];

    private static readonly Gen<string> CommandLines =
        from verb in Gen.OneOfConst(Verbs)
        from separator in Gen.OneOfConst("", " ", "  ", "\t")
        from argument in Gen.OneOf(
            Gen.Int[-1, 5].Select(number => number.ToString(System.Globalization.CultureInfo.InvariantCulture)),
            Gen.OneOfConst("1 1", "PLAIN", "login", "PLAIN AGEAYg==", "PLAIN =", "LOGIN YQ==", "ann@example.org", "99999999999", "\0", "\r", "é", " "),
            Gen.String)
        select verb + separator + argument;

    // Octets that matter to the framing, mostly.
    private static readonly Gen<byte[]> Contents =
        Gen.OneOfConst((byte)'\r', (byte)'\n', (byte)'.', (byte)'x', (byte)0xFF).Array[0, 60]
            .Select(octets => (byte[])[.. octets, .. "\r\n"u8]);

    [Fact]
    public void Every_line_gets_exactly_one_well_formed_answer_in_every_state() =>
        CommandLines.Array[1, 30].Sample(lines =>
        {
            var session = new Pop3Session(new Pop3Terms(false, true, true, 100, 100));
            foreach (var line in lines)
            {
                if (session.State == Pop3State.Update)
                    break;
                AssertWellFormed(Answer(session, session.Command(Encoding.UTF8.GetBytes(line))));
            }
        });

    [Fact]
    public void Any_octets_get_exactly_one_well_formed_answer() =>
        Gen.Byte.Array[0, 300].Sample(line =>
        {
            var session = new Pop3Session(new Pop3Terms(false, true, true, 100, 100));
            AssertWellFormed(Answer(session, session.Command(line)));
        });

    [Fact]
    public void Every_command_outside_its_states_is_refused_and_changes_nothing()
    {
        foreach (var command in Pop3Commands.Table.Values)
        {
            foreach (var state in new[] { Pop3State.Authorization, Pop3State.Transaction })
            {
                if ((command.States & state) != 0)
                    continue;
                var session = new Pop3Session(new Pop3Terms(false, true, true, 100, 100));
                if (state == Pop3State.Transaction)
                    session.LoggedIn([]);
                var reply = Assert.IsType<Pop3Step.Reply>(session.Command(Encoding.ASCII.GetBytes(command.Verb + " 1")));
                Assert.StartsWith("-ERR", reply.Line, StringComparison.Ordinal);
                Assert.Equal(state, session.State);
            }
        }
    }

    [Fact]
    public void Marks_and_sizes_agree_whatever_is_deleted_and_restored() =>
        Gen.Select(Gen.Int[0, 1000].Array[0, 20], Gen.Int[0, 21].Array[0, 60]).Sample((sizes, numbers) =>
        {
            var messages = sizes.Select((size, index) => new MaildropMessage(index + 1, index, size, "")).ToArray();
            var snapshot = new MaildropSnapshot(messages);
            var deleted = new HashSet<int>();
            foreach (var number in numbers)
            {
                if (number == 0)
                {
                    snapshot.Restore();
                    deleted.Clear();
                }
                else if (snapshot.Find(number) is not null)
                {
                    snapshot.Delete(number);
                    Assert.True(deleted.Add(number));
                }
                var present = messages.Where(message => !deleted.Contains((int)message.Uid)).ToArray();
                Assert.Equal(present, snapshot.Present.Select(entry => entry.Message));
                Assert.Equal((present.Length, present.Sum(message => message.SizeBytes)), (snapshot.Count, snapshot.SizeBytes));
                Assert.Equal(deleted.Order().Select(uid => (long)uid), snapshot.DeletedUids());
            }
        });

    [Fact]
    public void The_top_of_a_message_does_not_depend_on_how_it_is_cut() =>
        Gen.Select(Contents, Gen.Int[0, 4], Gen.Int[1, 7]).Sample((content, lines, chunkBytes) =>
        {
            var top = new MessageTop(lines);
            var taken = 0;
            for (var position = 0; position < content.Length && !top.IsComplete; position += chunkBytes)
                taken += top.Take(content.AsSpan(position, Math.Min(chunkBytes, content.Length - position)));
            Assert.Equal(TopLength(content, lines), taken);
        });

    [Fact]
    public Task What_RETR_sends_is_the_message_and_its_size_is_the_one_listed() =>
        Gen.Select(Contents, Gen.Int[1, 9]).SampleAsync(async (content, chunkBytes) =>
        {
            using var harness = new Pop3Harness();
            harness.Maildrops.ChunkBytes = chunkBytes;
            harness.Maildrops.AddMessage(harness.AnnId, content);
            var wire = harness.Connect();
            await wire.LogInAsync();
            Assert.Equal($"+OK 1 {content.Length}", await wire.AskAsync("LIST 1"));
            await wire.SendAsync("RETR 1\r\nQUIT\r\n");
            var answer = await wire.RestAsync();
            var end = answer.LastIndexOf(".\r\n+OK bye\r\n", StringComparison.Ordinal);
            var stuffed = answer[(answer.IndexOf('\n', StringComparison.Ordinal) + 1)..end];
            Assert.Equal(Encoding.Latin1.GetString(content), Unstuff(stuffed));
            Assert.DoesNotContain("\r\n.\r\n", "\r\n" + stuffed, StringComparison.Ordinal);
        }, iter: 200);

    private static Pop3Step Answer(Pop3Session session, Pop3Step step) => step switch
    {
        Pop3Step.FindKeys find => Answer(session, session.KeysFound(Sasl.ScramKeys.Decoy([], find.UserName, Sasl.ScramKeys.LeastIterations))),
        Pop3Step.Verify { Claim: Sasl.ScramClaim { IsProven: false } } => session.LoginFailed(LoginFailure.BadCredentials),
        Pop3Step.Verify => Answer(session, session.Verified()),
        Pop3Step.OpenMaildrop => session.LoggedIn([new MaildropMessage(1, 1, 10, ""), new MaildropMessage(2, 2, 20, "")]),
        Pop3Step.Commit commit => session.Committed(commit.Uids.Count, commit.Uids.Count),
        _ => step,
    };

    private static void AssertWellFormed(Pop3Step step)
    {
        var line = step switch
        {
            Pop3Step.Reply reply => reply.Line,
            Pop3Step.Listing listing => listing.Line,
            Pop3Step.StartTls startTls => startTls.Line,
            Pop3Step.Send send => send.Line,
            Pop3Step.Close close => close.Line,
            _ => "none",
        };
        Assert.True(line.StartsWith("+OK", StringComparison.Ordinal) || line.StartsWith("-ERR ", StringComparison.Ordinal)
            // RFC 5034 §4: a challenge, which is an answer like any other.
            || (step is Pop3Step.Reply && line.StartsWith("+ ", StringComparison.Ordinal)), line);
        // RFC 1939 §3: 512 octets with the CRLF; nothing of what the client sent comes back.
        Assert.InRange(line.Length, 2, 510);
        Assert.All(line, character => Assert.InRange(character, ' ', '~'));
        if (step is Pop3Step.Listing { Lines: var lines })
            Assert.All(lines, item => Assert.False(item.StartsWith('.')));
    }

    private static int TopLength(byte[] content, int bodyLines)
    {
        var text = Encoding.Latin1.GetString(content);
        var header = text.StartsWith("\r\n", StringComparison.Ordinal) ? 0 : text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 2;
        if (header == 1)
            return text.Length;
        var end = header + 2;
        for (; bodyLines > 0; bodyLines--)
        {
            var next = text.IndexOf("\r\n", end, StringComparison.Ordinal);
            if (next < 0)
                return text.Length;
            end = next + 2;
        }
        return end;
    }

    private static string Unstuff(string stuffed)
    {
        var text = ("\r\n" + stuffed).Replace("\r\n.", "\r\n", StringComparison.Ordinal);
        return text[2..];
    }
}
