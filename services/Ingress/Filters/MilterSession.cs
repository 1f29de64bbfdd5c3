using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Filters;

/// <summary>
/// One end of a conversation with a milter, pure: what is written for each step and whether an answer to it is to be waited for, and what an
/// answer means. Replacing the body and the sender is not offered: a milter that does it all the same breaks the protocol.
/// </summary>
internal sealed class MilterSession(string name, bool changesHeaders)
{
    private const uint Version = 6;

    /// <summary>Oldest version whose packets are the same.</summary>
    private const uint OldestVersion = 2;

    private const MilterActions Offered =
        MilterActions.AddHeaders | MilterActions.AddRecipients | MilterActions.RemoveRecipients | MilterActions.ChangeHeaders | MilterActions.Quarantine
        | MilterActions.AddRecipientsWithParameters;

    private const MilterSteps OfferedSteps = (MilterSteps)0x1F_FFFF & ~(MilterSteps.RefusedRecipients | MilterSteps.NoUnknown | MilterSteps.NoReplyToUnknown);

    private MilterSteps _steps;

    /// <summary>The value of a header goes with the space before it.</summary>
    public bool WantsLeadingSpace => _steps.HasFlag(MilterSteps.LeadingSpace);

    public bool WantsHeaders => !_steps.HasFlag(MilterSteps.NoHeaders);

    public bool WantsBody => !_steps.HasFlag(MilterSteps.NoBody);

    public static void WriteNegotiation(IBufferWriter<byte> output)
    {
        Span<byte> content = stackalloc byte[3 * sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(content, Version);
        BinaryPrimitives.WriteUInt32BigEndian(content[4..], (uint)Offered);
        BinaryPrimitives.WriteUInt32BigEndian(content[8..], (uint)OfferedSteps);
        MilterPackets.Write(output, MilterCommand.Negotiate, content);
    }

    /// <exception cref="MilterFaultException">It is none.</exception>
    public void TakeNegotiation(byte reply, ReadOnlySpan<byte> content)
    {
        if (reply != (byte)MilterReply.Negotiate)
            throw new MilterFaultException("it does not negotiate");
        var reader = new MilterReader(content);
        var version = reader.Number();
        if (version is < OldestVersion or > Version)
            throw new MilterFaultException($"it speaks version {version}");
        // Rspamd claims all actions, whatever is offered: what counts is what it does.
        reader.Number();
        _steps = (MilterSteps)reader.Number() & OfferedSteps;
    }

    /// <returns>An answer is to be waited for.</returns>
    public bool WriteConnect(IBufferWriter<byte> output, string hostName, IPEndPoint? client, IReadOnlyList<(string, string)> macros)
    {
        if (_steps.HasFlag(MilterSteps.NoConnect))
            return false;
        var content = new ArrayBufferWriter<byte>();
        MilterPackets.AddText(content, hostName);
        if (client is null)
        {
            content.Write("U"u8);
        }
        else
        {
            content.Write(client.AddressFamily == AddressFamily.InterNetworkV6 ? "6"u8 : "4"u8);
            BinaryPrimitives.WriteUInt16BigEndian(content.GetSpan(sizeof(ushort)), (ushort)client.Port);
            content.Advance(sizeof(ushort));
            MilterPackets.AddText(content, client.Address.ToString());
        }

        MilterPackets.WriteMacros(output, MilterCommand.Connect, macros);
        MilterPackets.Write(output, MilterCommand.Connect, content.WrittenSpan);
        return !_steps.HasFlag(MilterSteps.NoReplyToConnect);
    }

    /// <inheritdoc cref="WriteConnect"/>
    public bool WriteHello(IBufferWriter<byte> output, string greeting, IReadOnlyList<(string, string)> macros) =>
        Write(output, MilterCommand.Hello, MilterSteps.NoHello, MilterSteps.NoReplyToHello, macros, greeting);

    /// <param name="sender">Empty for the null path.</param>
    /// <inheritdoc cref="WriteConnect"/>
    public bool WriteSender(IBufferWriter<byte> output, string sender, IReadOnlyList<(string, string)> macros) =>
        Write(output, MilterCommand.Sender, MilterSteps.NoSender, MilterSteps.NoReplyToSender, macros, $"<{sender}>");

    /// <inheritdoc cref="WriteConnect"/>
    public bool WriteRecipient(IBufferWriter<byte> output, string recipient, IReadOnlyList<(string, string)> macros) =>
        Write(output, MilterCommand.Recipient, MilterSteps.NoRecipient, MilterSteps.NoReplyToRecipient, macros, $"<{recipient}>");

    /// <inheritdoc cref="WriteConnect"/>
    public bool WriteData(IBufferWriter<byte> output, IReadOnlyList<(string, string)> macros) =>
        Write(output, MilterCommand.Data, MilterSteps.NoData, MilterSteps.NoReplyToData, macros);

    /// <inheritdoc cref="WriteConnect"/>
    public bool WriteHeader(IBufferWriter<byte> output, ReadOnlySpan<byte> field, ReadOnlySpan<byte> value)
    {
        if (!WantsHeaders)
            return false;
        var content = new ArrayBufferWriter<byte>(field.Length + value.Length + 2);
        content.Write(field);
        content.Write<byte>([0]);
        content.Write(WantsLeadingSpace ? value : value.TrimStart(" \t"u8));
        content.Write<byte>([0]);
        MilterPackets.Write(output, MilterCommand.Header, content.WrittenSpan);
        return !_steps.HasFlag(MilterSteps.NoReplyToHeader);
    }

    /// <inheritdoc cref="WriteConnect"/>
    public bool WriteEndOfHeader(IBufferWriter<byte> output, IReadOnlyList<(string, string)> macros) =>
        Write(output, MilterCommand.EndOfHeader, MilterSteps.NoEndOfHeader, MilterSteps.NoReplyToEndOfHeader, macros);

    /// <inheritdoc cref="WriteConnect"/>
    public bool WriteBody(IBufferWriter<byte> output, ReadOnlySpan<byte> piece)
    {
        if (!WantsBody)
            return false;
        MilterPackets.Write(output, MilterCommand.Body, piece);
        return !_steps.HasFlag(MilterSteps.NoReplyToBody);
    }

    public static void WriteEnd(IBufferWriter<byte> output, IReadOnlyList<(string, string)> macros)
    {
        MilterPackets.WriteMacros(output, MilterCommand.EndOfBody, macros);
        MilterPackets.Write(output, MilterCommand.EndOfBody);
    }

    /// <summary>What the answer to a step before the end of the message is; null: progress, and the answer is still to come.</summary>
    /// <param name="mayStopBody">The step is a piece of the body.</param>
    /// <exception cref="MilterFaultException">It is none.</exception>
    public FilterAnswer? Read(byte reply, ReadOnlySpan<byte> content, bool mayStopBody = false) => (MilterReply)reply switch
    {
        MilterReply.Continue => FilterAnswer.GoOn,
        MilterReply.Progress => null,
        MilterReply.Skip when mayStopBody && _steps.HasFlag(MilterSteps.Skip) => new FilterAnswer(FilterVerdict.Skip),
        MilterReply.Accept => new FilterAnswer(FilterVerdict.Accept),
        MilterReply.Reject => FilterAnswer.Refusing(Replies.C550FilterRefuses),
        MilterReply.TemporaryFailure or MilterReply.ConnectionFailed => FilterAnswer.Refusing(Replies.C451FilterDefers),
        MilterReply.Shutdown => FilterAnswer.Refusing(Replies.C421FilterCloses),
        MilterReply.ReplyCode => FilterAnswer.Refusing(ReplyOf(new MilterReader(content).Text())),
        MilterReply.Discard => new FilterAnswer(FilterVerdict.Discard),
        _ => throw new MilterFaultException($"it answers '{Shown(reply)}' where that is no answer"),
    };

    /// <summary>What the answer to the end of the message means; null where it is a change of the message, behind which more answers come.</summary>
    public FilterAnswer? ReadEnd(byte reply, ReadOnlySpan<byte> content, FilterChanges changes)
    {
        var reader = new MilterReader(content);
        switch ((MilterReply)reply)
        {
            case MilterReply.AddHeader:
                changes.AddField(reader.Text(), reader.Text(), isOnTop: false);
                return null;
            case MilterReply.InsertHeader:
                // Whatever its place among those that came, it goes in front: none of those is moved.
                reader.Number();
                changes.AddField(reader.Text(), reader.Text(), isOnTop: true);
                return null;
            case MilterReply.ChangeHeader:
                var place = reader.Number();
                changes.ChangeField(reader.Text(), place, reader.Text(), changesHeaders);
                return null;
            case MilterReply.AddRecipient or MilterReply.AddRecipientWithParameters:
                changes.AddRecipient(reader.Text());
                return null;
            case MilterReply.RemoveRecipient:
                changes.RemoveRecipient(reader.Text());
                return null;
            case MilterReply.Quarantine:
                changes.Hold(name, reader.Text());
                return null;
            case MilterReply.ReplaceBody or MilterReply.ChangeSender:
                throw new MilterFaultException($"it does what no filter may ('{Shown(reply)}')");
            default:
                return Read(reply, content);
        }
    }

    private bool Write(
        IBufferWriter<byte> output, MilterCommand command, MilterSteps unwanted, MilterSteps unanswered, IReadOnlyList<(string, string)> macros,
        params ReadOnlySpan<string> texts)
    {
        if (_steps.HasFlag(unwanted))
            return false;
        MilterPackets.WriteMacros(output, command, macros);
        MilterPackets.Write(output, command, texts);
        return !_steps.HasFlag(unanswered);
    }

    /// <summary>"550 5.7.1 text", in one line or several.</summary>
    private static SmtpReply ReplyOf(string text)
    {
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (lines.Length is 0 or > 50 || !int.TryParse(lines[0].AsSpan(0, Math.Min(3, lines[0].Length)), NumberStyles.None, CultureInfo.InvariantCulture, out var code)
            || code is < 400 or > 599)
            throw new MilterFaultException("it answers with a reply that refuses nothing");
        EnhancedStatus? status = null;
        for (var i = 0; i < lines.Length; i++)
        {
            var line = lines[i].Length > 4 ? lines[i][4..] : "";
            var end = line.IndexOf(' ', StringComparison.Ordinal);
            if (EnhancedStatus.TryParse(end < 0 ? line : line[..end], out var own) && own.Class == code / 100)
            {
                status ??= own;
                line = end < 0 ? "" : line[(end + 1)..];
            }

            lines[i] = PlainText.Ascii(line);
        }

        return new SmtpReply(code, status ?? Replies.C550FilterRefuses.Status!.Value with { Class = code / 100 }, lines);
    }

    private static string Shown(byte reply) => reply is > 0x20 and < 0x7F ? ((char)reply).ToString() : $"\\x{reply:X2}";
}
