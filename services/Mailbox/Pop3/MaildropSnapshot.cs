using System.Collections;
using System.Globalization;
using MailPipeline.Mail;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// A maildrop as one session sees it: the messages that were there at login, numbered from 1, and which of them are marked
/// as deleted. Mail that arrives meanwhile belongs to the next session; numbers never shift (RFC 1939 §5).
/// </summary>
internal sealed class MaildropSnapshot(IReadOnlyList<MaildropMessage> messages)
{
    private readonly BitArray _deleted = new(messages.Count);

    /// <summary>Messages not marked as deleted.</summary>
    public int Count { get; private set; } = messages.Count;

    /// <summary>Octets of the messages not marked as deleted.</summary>
    public long SizeBytes { get; private set; } = messages.Sum(message => message.SizeBytes);

    /// <summary>The messages not marked as deleted, with their numbers.</summary>
    public IEnumerable<(int Number, MaildropMessage Message)> Present
    {
        get
        {
            for (var index = 0; index < messages.Count; index++)
            {
                if (!_deleted[index])
                    yield return (index + 1, messages[index]);
            }
        }
    }

    /// <summary>The message of that number; null when there is none or it is marked as deleted (RFC 1939 §5 DELE).</summary>
    public MaildropMessage? Find(int number) =>
        number >= 1 && number <= messages.Count && !_deleted[number - 1] ? messages[number - 1] : null;

    public void Delete(int number)
    {
        var message = Find(number) ?? throw new ArgumentOutOfRangeException(nameof(number));
        _deleted[number - 1] = true;
        Count--;
        SizeBytes -= message.SizeBytes;
    }

    /// <summary>Takes all marks back (RFC 1939 §5 RSET).</summary>
    public void Restore()
    {
        _deleted.SetAll(false);
        Count = messages.Count;
        SizeBytes = messages.Sum(message => message.SizeBytes);
    }

    /// <summary>The uids marked as deleted.</summary>
    public long[] DeletedUids()
    {
        var uids = new List<long>(messages.Count - Count);
        for (var index = 0; index < messages.Count; index++)
        {
            if (_deleted[index])
                uids.Add(messages[index].Uid);
        }
        return [.. uids];
    }

    /// <summary>
    /// The unique-id of a message (RFC 1939 §7 UIDL): its uid, which storage gives out once and never again. It begins with
    /// the message id as operators see it elsewhere.
    /// </summary>
    public static string UniqueId(MaildropMessage message) => message.Uid.ToString("X", CultureInfo.InvariantCulture);
}
