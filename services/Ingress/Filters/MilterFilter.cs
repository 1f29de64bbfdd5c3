using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using MailPipeline.LineServer;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Filters;

/// <summary>
/// A milter in one session: a connection of its own, on which the session is told of as it goes on (<see cref="MilterSession"/>). Whatever goes
/// wrong there ends that connection, and for the rest of the session the filter is away; each wait has its bound.
/// </summary>
internal sealed partial class MilterFilter(FilterOptions options, IngressTelemetry telemetry, TimeProvider time, ILogger log) : IFilter, IFilteredParts
{
    private readonly MilterSession _session = new(options.Name, options.ChangesHeaders);
    private readonly FilterPatience _patience = new(options.MaxTime, time);
    private readonly ArrayBufferWriter<byte> _output = new();

    // Most answers are a few octets: one call of the system brings all of one.
    private readonly byte[] _input = new byte[512];
    private int _start;
    private int _end;
    private Socket? _socket;
    private NetworkStream? _stream;
    private FilteredContent? _content;
    private readonly HashSet<SmtpAddress> _told = [];
    private string _messageId = "";

    /// <summary>What it said and stays: of the connection, or of the message under way.</summary>
    private FilterAnswer? _ofConnection;
    private FilterAnswer? _ofMessage;
    private bool _isMessage;
    private bool _isBodySkipped;

    public string Name => options.Name;

    /// <summary>It is away, and what its settings say then has been said in the place of its answers.</summary>
    private bool IsAway { get; set; }

    public ValueTask<FilterAnswer> ConnectAsync(FilteredClient client) => OfConnectionAsync(async () =>
    {
        await OpenAsync();
        return await AskAsync(_session.WriteConnect(_output, client.HostName, client.EndPoint,
        [
            ("j", client.Local), ("{daemon_name}", client.Listener), ("v", $"MailPipeline {ProgramVersion.Text}"), ("{client_addr}", client.EndPoint?.Address.ToString() ?? ""),
            ("{client_port}", client.EndPoint?.Port.ToString(CultureInfo.InvariantCulture) ?? ""), ("{client_name}", client.HostName),
            ("{client_ptr}", client.HostName.StartsWith('[') ? "" : client.HostName),
        ]));
    });

    public ValueTask<FilterAnswer> HelloAsync(string greeting, TlsParameters? tls) => OfConnectionAsync(() => AskAsync(_session.WriteHello(_output, greeting,
    [
        ("{tls_version}", tls?.Version ?? ""), ("{cipher}", tls?.Cipher.ToString() ?? ""),
        ("{cipher_bits}", tls is { KeyBits: > 0 and var bits } ? bits.ToString(CultureInfo.InvariantCulture) : ""),
    ])));

    public async ValueTask<FilterAnswer> SenderAsync(FilteredSender sender)
    {
        if (_isMessage && _stream is not null)
            MilterPackets.Write(_output, MilterCommand.Abort, ReadOnlySpan<byte>.Empty);
        (_isMessage, _ofMessage, _content, _isBodySkipped) = (true, null, null, false);
        _told.Clear();
        _patience.Begin();
        var path = sender.Address?.Text ?? "";
        return await OfMessageAsync(() => AskAsync(_session.WriteSender(_output, path,
        [
            // By the first of them most tell a user from a stranger.
            ("{auth_type}", sender.Mechanism), ("{auth_authen}", sender.User ?? ""), ("{mail_addr}", path), ("{mail_host}", sender.Address?.Domain ?? ""),
            ("{mail_mailer}", path.Length > 0 ? "smtp" : ""),
        ])));
    }

    public async ValueTask<FilterAnswer> RecipientAsync(SmtpAddress recipient)
    {
        if (Stays() is { } said)
            return said;
        _told.Add(recipient);
        var answer = await TryAsync(() => AskAsync(_session.WriteRecipient(_output, recipient.Text, [("{rcpt_addr}", recipient.Text), ("{rcpt_host}", recipient.Domain ?? "")])));
        // What is refused here is the recipient alone.
        if (answer.Verdict is FilterVerdict.Accept or FilterVerdict.Discard)
            _ofMessage = answer;
        return answer;
    }

    public async ValueTask BeginContentAsync(string messageId, IReadOnlyList<SmtpAddress> recipients)
    {
        _messageId = messageId;
        _content = new FilteredContent(this);
        // Those that were taken under another address than they were given by. They have been told that they are taken: what refuses one of them now refuses
        // the message, of which the client hears, and no recipient goes missing.
        foreach (var recipient in recipients.Where(recipient => !_told.Contains(recipient)))
            Note(await RecipientAsync(recipient));
        await OfMessageAsync(() => AskAsync(_session.WriteData(_output, Macros)));
    }

    public async ValueTask ContentAsync(ReadOnlyMemory<byte> content)
    {
        if (_content is not null && Stays() is null)
            await OfMessageAsync(async () =>
            {
                await _content.TakeAsync(content);
                return FilterAnswer.GoOn;
            });
    }

    public async ValueTask<FilterAnswer> EndAsync(FilterChanges changes)
    {
        var before = changes.PassedOver;
        var answer = await OfMessageAsync(async () =>
        {
            await _content!.EndAsync();
            if (_ofMessage is { } decided)
                return decided;
            MilterSession.WriteEnd(_output, Macros);
            await FlushAsync(options.MessageTimeout);
            var draft = changes.Draft();
            var end = await ReadEndAsync(draft);
            changes.Take(draft);
            // Else it is to hear that the message is over.
            _isMessage = false;
            return end;
        });
        if (changes.PassedOver > before)
            LogPassedOver(log, options.Name, changes.PassedOver - before);
        return answer;
    }

    public async ValueTask DisposeAsync()
    {
        if (_stream is null)
            return;
        try
        {
            MilterPackets.Write(_output, MilterCommand.Quit, ReadOnlySpan<byte>.Empty);
            await FlushAsync(options.Timeout);
        }
        catch (Exception gone) when (IsAwayBy(gone))
        {
            // It hears of the end by that of the connection.
        }

        Close();
    }

    async ValueTask IFilteredParts.HeaderAsync(ReadOnlyMemory<byte> name, ReadOnlyMemory<byte> value)
    {
        if (_ofMessage is null)
            Note(await AskAsync(_session.WriteHeader(_output, name.Span, value.Span)));
    }

    async ValueTask IFilteredParts.EndOfHeaderAsync()
    {
        if (_ofMessage is null)
            Note(await AskAsync(_session.WriteEndOfHeader(_output, Macros)));
    }

    async ValueTask IFilteredParts.BodyAsync(ReadOnlyMemory<byte> piece)
    {
        if (_ofMessage is not null || _isBodySkipped)
            return;
        var answer = await AskAsync(_session.WriteBody(_output, piece.Span), mayStopBody: true);
        if (answer.Verdict == FilterVerdict.Skip)
            _isBodySkipped = true;
        else
            Note(answer);
    }

    private (string, string)[] Macros => [("i", _messageId)];

    private void Note(FilterAnswer answer)
    {
        if (answer.Verdict != FilterVerdict.GoOn)
            _ofMessage ??= answer;
    }

    /// <summary>What it has said already, and need not be asked again; null: nothing.</summary>
    private FilterAnswer? Stays() => _ofConnection ?? _ofMessage;

    private async ValueTask<FilterAnswer> OfConnectionAsync(Func<ValueTask<FilterAnswer>> ask)
    {
        if (_ofConnection is { } said)
            return IsAway ? FilterAnswer.GoOn : said;
        _patience.Begin();
        var answer = await TryAsync(ask);
        if (IsAway)
            return FilterAnswer.GoOn;
        // What refuses a greeting refuses that one alone.
        if (answer.Verdict is FilterVerdict.Accept or FilterVerdict.Discard)
            _ofConnection = answer;
        return answer;
    }

    private async ValueTask<FilterAnswer> OfMessageAsync(Func<ValueTask<FilterAnswer>> ask)
    {
        if (Stays() is { } said)
            return said;
        var answer = await TryAsync(ask);
        Note(answer);
        return answer;
    }

    /// <summary>Its answer, or what its settings say where it gives none; then it is not asked any more in this session.</summary>
    private async ValueTask<FilterAnswer> TryAsync(Func<ValueTask<FilterAnswer>> ask)
    {
        try
        {
            var answer = await ask();
            if (answer.Verdict is FilterVerdict.Accept or FilterVerdict.Refuse or FilterVerdict.Discard)
                telemetry.FilterAnswered(options.Name, answer.Name);
            return answer;
        }
        catch (Exception gone) when (IsAwayBy(gone))
        {
            Close();
            IsAway = true;
            telemetry.FilterAway(options.Name, gone is MilterFaultException ? "garbage" : gone is OperationCanceledException ? "timed_out" : "away");
            LogAway(log, options.Name, gone is OperationCanceledException ? "it did not answer in time" : gone.Message);
            _ofConnection = options.WhenAway == FilterAwayPolicy.Defer ? FilterAnswer.Refusing(Replies.C451FilterAway) : new FilterAnswer(FilterVerdict.Accept);
            return _ofConnection;
        }
    }

    private static bool IsAwayBy(Exception gone) =>
        gone is SocketException or IOException or OperationCanceledException or MilterFaultException or ObjectDisposedException;

    private async ValueTask OpenAsync()
    {
        EndPoint place = HostAddress.TrySplitPort(options.Address, 0, out var host, out var port) && HostAddress.TryParse(host, out var address)
            ? new IPEndPoint(address, port) : new UnixDomainSocketEndPoint(options.Address);
        _socket = new Socket(place.AddressFamily, SocketType.Stream, place is IPEndPoint ? ProtocolType.Tcp : ProtocolType.Unspecified);
        if (place is IPEndPoint)
            _socket.NoDelay = true;
        using (var patience = new CancellationTokenSource(options.ConnectTimeout, time))
            await _socket.ConnectAsync(place, patience.Token);
        _stream = new NetworkStream(_socket, ownsSocket: true);
        MilterSession.WriteNegotiation(_output);
        await FlushAsync(options.Timeout);
        using var wait = _patience.For(options.Timeout);
        var (reply, content) = await ReadAsync(wait.Token);
        _session.TakeNegotiation(reply, content);
    }

    /// <summary>Lets go what was written, and waits for the answer where there is one.</summary>
    private async ValueTask<FilterAnswer> AskAsync(bool isAnswered, bool mayStopBody = false)
    {
        // What is not answered goes with what is, or when there is much of it.
        if (!isAnswered && _output.WrittenCount < MilterPackets.MaxBodyBytes)
            return FilterAnswer.GoOn;
        await FlushAsync(options.Timeout);
        if (!isAnswered)
            return FilterAnswer.GoOn;
        using var wait = _patience.For(options.Timeout);
        while (true)
        {
            var (reply, content) = await ReadAsync(wait.Token);
            // Within a message progress prolongs nothing: the client waits with each line.
            if (_session.Read(reply, content, mayStopBody) is { } answer)
                return answer;
        }
    }

    private async ValueTask<FilterAnswer> ReadEndAsync(FilterChanges changes)
    {
        using var longest = _patience.For(options.MessageTimeout * 5);
        using var wait = CancellationTokenSource.CreateLinkedTokenSource(longest.Token);
        using var silence = time.CreateTimer(static source => ((CancellationTokenSource)source!).Cancel(), wait, options.MessageTimeout, Timeout.InfiniteTimeSpan);
        while (true)
        {
            var (reply, content) = await ReadAsync(wait.Token);
            if (_session.ReadEnd(reply, content, changes) is { } answer)
                return answer;
            if (reply == (byte)MilterReply.Progress)
                silence.Change(options.MessageTimeout, Timeout.InfiniteTimeSpan);
        }
    }

    private async ValueTask FlushAsync(TimeSpan longest)
    {
        if (_output.WrittenCount == 0)
            return;
        using var wait = _patience.For(longest);
        var stream = _stream ?? throw new IOException("its connection has ended");
        await stream.WriteAsync(_output.WrittenMemory, wait.Token);
        _output.ResetWrittenCount();
    }

    private async ValueTask<(byte Reply, byte[] Content)> ReadAsync(CancellationToken end)
    {
        var stream = _stream ?? throw new IOException("its connection has ended");
        if (_end - _start < MilterPackets.LengthBytes)
        {
            _input.AsSpan(_start.._end).CopyTo(_input);
            (_start, _end) = (0, _end - _start);
            _end += await stream.ReadAtLeastAsync(_input.AsMemory(_end), MilterPackets.LengthBytes - _end, cancellationToken: end);
        }

        var packet = new byte[MilterPackets.LengthOf(_input.AsSpan(_start))];
        _start += MilterPackets.LengthBytes;
        var here = Math.Min(packet.Length, _end - _start);
        _input.AsSpan(_start, here).CopyTo(packet);
        _start += here;
        if (here < packet.Length)
            await stream.ReadExactlyAsync(packet.AsMemory(here), end);
        return (packet[0], packet[1..]);
    }

    [LoggerMessage(1070, LogLevel.Warning, "The filter {Filter} is away for a session: {Reason}")]
    private static partial void LogAway(ILogger log, string filter, string reason);

    [LoggerMessage(1071, LogLevel.Warning, "The filter {Filter} wanted to change {Count} fields that came with a message; they stay as they came")]
    private static partial void LogPassedOver(ILogger log, string filter, int count);

    private void Close()
    {
        _stream?.Dispose();
        _socket?.Dispose();
        _stream = null;
        (_start, _end) = (0, 0);
        _output.ResetWrittenCount();
    }
}
