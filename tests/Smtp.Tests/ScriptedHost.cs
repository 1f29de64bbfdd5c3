using System.Buffers;
using MailPipeline.Sasl;

namespace MailPipeline.Smtp.Tests;

/// <summary>
/// A host without sockets: bytes in, replies out. Knows every recipient but those named "unknown", the password "secret",
/// and keeps the contents it accepted.
/// </summary>
internal sealed class ScriptedHost(SmtpProfile profile)
{
    private readonly ArrayBufferWriter<byte> _output = new();
    private LineReader _lines = new(SmtpLimits.ExtendedCommandLineBytes);
    private EndOfDataReader _content;
    private string _text = "";
    private bool _inContent;
    private byte[] _held = [];

    public SmtpSession Session { get; } = new(profile);

    public List<(string Sender, string[] Recipients, string Content)> Accepted { get; } = [];

    public bool IsClosed { get; private set; }

    /// <summary>Octets held back at the end of the last input.</summary>
    public int Held => _held.Length;

    public string Output => Wire.Text(_output.WrittenSpan);

    public void Greet() => Session.Profile.Greeting.WriteTo(_output);

    public void Feed(ReadOnlySpan<byte> bytes)
    {
        byte[] whole = [.. _held, .. bytes];
        var buffer = new ReadOnlySequence<byte>(whole);
        while (!IsClosed && (_inContent ? ReadContent(ref buffer) : ReadLine(ref buffer)))
        {
        }

        _held = IsClosed ? [] : buffer.ToArray();
    }

    private bool ReadLine(ref ReadOnlySequence<byte> buffer)
    {
        _lines.MaxBytes = Session.MaxLineBytes;
        var status = _lines.TryRead(ref buffer, out var line);
        if (status == LineStatus.Incomplete)
            return false;

        Act(status == LineStatus.Line ? Session.Read(line.ToArray()) : Session.ReadBroken(status, line.ToArray()));
        return true;
    }

    private bool ReadContent(ref ReadOnlySequence<byte> buffer)
    {
        if (buffer.IsEmpty)
            return false;

        var input = buffer.FirstSpan;
        var slice = _content.Read(input);
        _text += Wire.Text(input.Slice(slice.Start, slice.Length));
        buffer = buffer.Slice(slice.Consumed);
        if (!slice.IsEnd)
            return true;

        _inContent = false;
        var transaction = Session.Transaction!;
        if (_content.Faults != ContentFaults.None)
        {
            Act(Session.ContentEnded(_content.Faults.HasFlag(ContentFaults.Nul) ? Replies.C550Nul : Replies.C550BareCrLf));
            return true;
        }

        Accepted.Add((transaction.Sender?.Text ?? "", [.. transaction.Recipients.Select(r => r.Text)], _text));
        Act(Session.ContentEnded(new SmtpReply(250, "2.0.0", "Ok: queued as 1E240")));
        return true;
    }

    private void Act(SmtpStep step)
    {
        while (step.Reply is null)
        {
            step = step.Action switch
            {
                SmtpAction.CheckSender => Session.Answer(null),
                SmtpAction.CheckRecipient => Session.Answer(Session.ProposedRecipient!.LocalPart == "unknown" ? Replies.C550NoSuchUser : null),
                SmtpAction.Authenticate => Session.Answer(Session.ProposedClaim is PasswordClaim { Password: "secret" } ? null : Replies.C535BadCredentials),
                _ => throw new InvalidOperationException($"{step.Action} without a reply."),
            };
        }

        step.Reply.WriteTo(_output);
        step.ClosingReply?.WriteTo(_output);
        switch (step.Action)
        {
            case SmtpAction.Close:
                IsClosed = true;
                break;
            case SmtpAction.StartTls:
                Session.TlsStarted();
                break;
            case SmtpAction.ReceiveContent:
                _inContent = true;
                _content = new EndOfDataReader();
                _text = "";
                break;
        }
    }
}

/// <summary>
/// "C:" and "S:" lines. The client's side is played whole, line by line and byte by byte; the server's has to be the same each
/// time.
/// </summary>
internal static class Transcript
{
    public static ScriptedHost Run(string transcript, SmtpProfile profile)
    {
        var lines = transcript.ReplaceLineEndings("\n").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var client = lines.Where(line => line.StartsWith("C:", StringComparison.Ordinal)).Select(line => line[2..].TrimStart(' ', 1) + "\r\n").ToArray();
        var expected = string.Concat(lines.Where(line => line.StartsWith("S:", StringComparison.Ordinal)).Select(line => line[2..].TrimStart(' ', 1) + "\r\n"));
        Play(profile, [string.Concat(client)], expected, "whole");
        Play(profile, [.. string.Concat(client).Select(c => c.ToString())], expected, "byte by byte");
        return Play(profile, client, expected, "line by line");
    }

    private static ScriptedHost Play(SmtpProfile profile, string[] pieces, string expected, string how)
    {
        var host = new ScriptedHost(profile);
        host.Greet();
        foreach (var piece in pieces)
            host.Feed(Wire.Bytes(piece));
        Assert.True(expected == host.Output, $"{how}\nexpected:\n{expected}\ngot:\n{host.Output}");
        return host;
    }

    private static string TrimStart(this string text, char c, int count) =>
        text.Length >= count && text[..count].All(x => x == c) ? text[count..] : text;
}
