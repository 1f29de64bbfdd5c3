using System.Buffers;
using System.Text;
using MailPipeline.Sasl;

namespace MailPipeline.Smtp.Tests;

/// <summary>
/// A host without sockets: bytes in, replies out. Knows every recipient but those named "unknown", the password "secret",
/// and keeps the contents it accepted.
/// </summary>
internal sealed class ScriptedHost(SmtpProfile profile, ClientTraits listed = ClientTraits.None)
{
    // Of the password "secret".
    private static readonly byte[] s_exported = [.. "What both ends of the channel know"u8];
    private static readonly ScramKeys s_keys = ScramKeys.Create("secret", ScramKeys.LeastIterations);

    private readonly ArrayBufferWriter<byte> _output = new();
    private LineReader _lines = new(SmtpLimits.ExtendedCommandLineBytes);
    private ContentReader _content;
    private bool _inChunks;
    private long _chunkRest;
    private SmtpAction? _chunk;
    private readonly StringBuilder _text = new();
    private bool _inContent;
    private byte[] _held = [];

    public SmtpSession Session { get; } = new(profile, listed) { Now = new(2026, 11, 30, 12, 0, 0, TimeSpan.Zero) };

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
        while (!IsClosed && (_chunk is not null ? ReadChunk(ref buffer) : _inContent ? ReadContent(ref buffer) : ReadLine(ref buffer)))
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
        _text.Append(Wire.Text(input.Slice(slice.Start, slice.Length)));
        buffer = buffer.Slice(slice.Consumed);
        if (!slice.IsEnd)
            return true;

        _inContent = false;
        Act(Session.ContentEnded(Accept()));
        return true;
    }

    private bool ReadChunk(ref ReadOnlySequence<byte> buffer)
    {
        var octets = buffer.Slice(0, Math.Min(_chunkRest, buffer.Length)).ToArray();
        buffer = buffer.Slice(octets.Length);
        _chunkRest -= octets.Length;
        for (var input = octets.AsSpan(); _chunk == SmtpAction.ReceiveChunk && !input.IsEmpty;)
        {
            var slice = _content.Read(input);
            _text.Append(Wire.Text(input.Slice(slice.Start, slice.Length)));
            input = input[slice.Consumed..];
        }

        if (_chunkRest > 0)
            return false;
        var action = _chunk;
        _chunk = null;
        if (action == SmtpAction.SkipChunk)
        {
            Act(Session.Answer(null));
            return true;
        }

        var isLast = Session.Chunk.IsLast;
        if (isLast && _content.End())
            _text.Append("\r\n");
        var reply = isLast ? Accept() : Session.Profile.MaxMessageBytes < _content.ContentBytes ? Replies.C552TooLarge : null;
        _inChunks = !isLast && reply is null;
        Act(Session.ChunkEnded(reply));
        return true;
    }

    private SmtpReply Accept()
    {
        var transaction = Session.Transaction!;
        if (_content.Faults != ContentFaults.None)
            return _content.Faults.HasFlag(ContentFaults.Nul) ? Replies.C550Nul : Replies.C550BareCrLf;

        Accepted.Add((transaction.Sender?.Text ?? "", [.. transaction.Recipients.Select(r => r.Text)], _text.ToString()));
        return new SmtpReply(250, "2.0.0", "Ok: queued as 1E240");
    }

    private void BeginChunk(SmtpAction action)
    {
        (_chunk, _chunkRest) = (action, Session.Chunk.SizeBytes);
        if (action != SmtpAction.ReceiveChunk || _inChunks)
            return;
        _inChunks = true;
        _content = new ContentReader { IsCounted = true };
        _text.Clear();
    }

    private void Act(SmtpStep step)
    {
        while (step.Reply is null)
        {
            if (step.Action is SmtpAction.ReceiveChunk or SmtpAction.SkipChunk)
            {
                BeginChunk(step.Action);
                return;
            }

            step = step.Action switch
            {
                SmtpAction.CheckSender => Session.Answer(null),
                SmtpAction.CheckRecipient => Session.Answer(Session.ProposedRecipient!.LocalPart == "unknown" ? Replies.C550NoSuchUser : null),
                SmtpAction.NameClient => Session.Answer(Session.ProposedClient!.Login == "unknown" ? Replies.C550UnknownLogin : null),
                SmtpAction.StartQueue => Session.Answer(new SmtpReply(250, "2.0.0", $"started {Session.ProposedQueue.Domain} {Session.ProposedQueue.WithSubdomains}")),
                SmtpAction.CheckClientName => Session.Answer(null),
                SmtpAction.FindKeys => Session.KeysFound(s_keys),
                SmtpAction.Authenticate => Session.Answer(Session.ProposedClaim is PasswordClaim { Password: "secret" } ? null : Replies.C535BadCredentials),
                _ => throw new InvalidOperationException($"{step.Action} without a reply."),
            };
        }

        _inChunks &= Session.State == SmtpSessionState.Chunks;
        for (var said = 0; said < step.Times; said++)
            step.Reply.WriteTo(_output);
        step.ClosingReply?.WriteTo(_output);
        switch (step.Action)
        {
            case SmtpAction.Close:
                IsClosed = true;
                break;
            case SmtpAction.StartTls:
                Session.TlsStarted([new(ChannelBinding.Exporter, s_exported)]);
                break;
            case SmtpAction.ReceiveContent:
                _inContent = true;
                _content = new ContentReader();
                _text.Clear();
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
