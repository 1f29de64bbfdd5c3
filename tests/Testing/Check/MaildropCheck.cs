namespace MailPipeline.Testing;

/// <summary>
/// I8: a maildrop loses only what its user deleted in a session whose QUIT was answered +OK, and a unique id never names
/// other bytes. Sessions of one maildrop follow each other, so its records are read in their order.
/// </summary>
internal static class MaildropCheck
{
    public static IEnumerable<Violation> Check(IReadOnlyList<LedgerRecord> records)
    {
        var maildrops = new Dictionary<string, Maildrop>(StringComparer.OrdinalIgnoreCase);
        var found = new List<Violation>();
        foreach (var record in records)
        {
            switch (record)
            {
                case MaildropListed listed:
                    found.AddRange(Of(listed.Mailbox).List(listed));
                    break;
                case MaildropRead read:
                    found.AddRange(Of(read.Mailbox).Read(read));
                    break;
                case MaildropReadFailed failed:
                    Of(failed.Mailbox).Fail(failed);
                    break;
                case MaildropDeleted deleted:
                    Of(deleted.Mailbox).Delete(deleted);
                    break;
            }
        }
        found.AddRange(maildrops.Values.SelectMany(maildrop => maildrop.Failed));
        return found;

        Maildrop Of(string mailbox)
        {
            if (!maildrops.TryGetValue(mailbox, out var maildrop))
                maildrops[mailbox] = maildrop = new Maildrop();
            return maildrop;
        }
    }

    private enum Presence
    {
        Kept,
        Deleted,
        PerhapsDeleted,
    }

    private sealed class Maildrop
    {
        private readonly Dictionary<string, Presence> _presence = [];
        private readonly Dictionary<string, string> _bytes = [];
        private readonly List<MaildropReadFailed> _failed = [];

        /// <summary>What could not be read. Refused for now (RFC 3206 §4) and read later is well, while the store is away.</summary>
        public IEnumerable<Violation> Failed => _failed.Select(failed =>
            new Violation(ViolationKind.MaildropUnreadable, "", failed.Mailbox, $"unique id {failed.Uid} in session {failed.Session}: {failed.Reply}"));

        public IEnumerable<Violation> List(MaildropListed listed)
        {
            var now = new HashSet<string>();
            foreach (var uid in listed.Uids)
            {
                if (!now.Add(uid))
                    yield return Violates(ViolationKind.UidRepeated, listed, uid);
                if (_presence.TryGetValue(uid, out var presence) && presence == Presence.Deleted)
                    yield return Violates(ViolationKind.DeletedReturned, listed, uid);
            }
            foreach (var (uid, presence) in _presence.ToList())
            {
                if (now.Contains(uid))
                    continue;
                if (presence == Presence.Kept)
                    yield return Violates(ViolationKind.MaildropLost, listed, uid);
                _presence[uid] = Presence.Deleted;
            }
            foreach (var uid in now)
                _presence[uid] = Presence.Kept;
        }

        public void Fail(MaildropReadFailed failed) => _failed.Add(failed);

        public IEnumerable<Violation> Read(MaildropRead read)
        {
            _failed.RemoveAll(failed => failed.Uid == read.Uid && failed.Reply.StartsWith("-ERR [SYS/TEMP]", StringComparison.Ordinal));
            var bytes = $"{read.Token} {read.BodyHash} {read.SizeBytes} {read.Dsn?.MessageId}";
            if (!_bytes.TryAdd(read.Uid, bytes) && _bytes[read.Uid] != bytes)
                yield return new(ViolationKind.UidReused, read.Token, read.Mailbox, $"unique id {read.Uid} named \"{_bytes[read.Uid]}\" and now \"{bytes}\"");
        }

        public void Delete(MaildropDeleted deleted)
        {
            foreach (var uid in deleted.Uids)
            {
                _presence[uid] = deleted.Quit switch
                {
                    QuitOutcome.Confirmed => Presence.Deleted,
                    QuitOutcome.Unknown => Presence.PerhapsDeleted,
                    _ => Presence.Kept,
                };
            }
        }

        private static Violation Violates(ViolationKind kind, MaildropListed listed, string uid) =>
            new(kind, "", listed.Mailbox, $"unique id {uid} in session {listed.Session}");
    }
}
