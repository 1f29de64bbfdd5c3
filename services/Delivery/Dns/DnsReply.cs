using System.Net;

namespace MailPipeline.Delivery;

/// <summary>RFC 1035 §4.1.1, with the upper bits of RFC 6891 §6.1.3.</summary>
internal enum DnsResponseCode : ushort
{
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
    BadVersion = 16,
}

/// <summary>One record of the types in <see cref="DnsRecordType"/>.</summary>
/// <param name="Seconds">Time to live.</param>
/// <param name="Number">Preference of an MX; MINIMUM of an SOA.</param>
/// <param name="Target">Exchange of an MX, target of a CNAME.</param>
/// <param name="Address">Of an A or AAAA record.</param>
internal readonly record struct DnsRecord(
    string Owner, DnsRecordType Type, uint Seconds, uint Number = 0, string Target = "", IPAddress? Address = null);

/// <summary>What a message that answers a question says about it, and nothing of what else is in it.</summary>
/// <param name="Records">Of the type asked for, at the end of the chain of aliases.</param>
/// <param name="Seconds">How long they may be remembered, the aliases on the way included.</param>
/// <param name="NegativeSeconds">How long their absence may be remembered (RFC 2308 §5).</param>
/// <param name="IsConclusive">
/// That there are no records is what the name has, and not that the server sends us to others (RFC 2308 §2.2), or speaks of other names.
/// </param>
internal sealed record DnsReply(
    DnsResponseCode Code, bool IsCutShort, IReadOnlyList<DnsRecord> Records, uint Seconds, uint NegativeSeconds, bool IsConclusive)
{
    // Resolvers follow 8 to 16.
    private const int MaxAliases = 16;
    private const int CutShort = 0x0200;
    private const int CodeBits = 0x000F;

    /// <summary>Null when the message cannot be decoded, or its aliases have no end.</summary>
    /// <param name="message">One for which <see cref="DnsQuery.IsAnsweredBy"/> is true.</param>
    /// <param name="query">What was asked.</param>
    public static DnsReply? Read(ReadOnlySpan<byte> message, DnsQuery query)
    {
        var reader = new DnsReader(message);
        reader.ReadUInt16();
        var flags = reader.ReadUInt16();
        int questions = reader.ReadUInt16(), answers = reader.ReadUInt16(), authorities = reader.ReadUInt16(), others = reader.ReadUInt16();
        var code = (uint)(flags & CodeBits);
        // Of what was cut short nothing is used.
        if ((flags & CutShort) != 0)
            return new DnsReply((DnsResponseCode)code, IsCutShort: true, [], 0, 0, IsConclusive: false);
        for (var i = 0; i < questions; i++)
        {
            reader.ReadName();
            reader.ReadUInt32();
        }

        var found = ReadRecords(ref reader, answers);
        var behind = ReadRecords(ref reader, authorities);
        var (owner, chain) = Follow(found, query);
        if (owner is null)
            return null;
        foreach (var record in ReadRecords(ref reader, others))
        {
            // The OPT record's time to live holds the upper bits of the code.
            if (record.Type == DnsRecordType.Opt)
                code |= record.Seconds >> 24 << 4;
        }

        if (reader.IsBroken)
            return null;
        var wanted = found.FindAll(record => record.Type == query.Type && IsSame(record.Owner, owner));
        var soa = behind.Find(record => record.Type == DnsRecordType.Soa);
        var speaksOfUs = found.Count == 0 ? soa.Type == DnsRecordType.Soa || behind.Count == 0 : found.Exists(record => IsSame(record.Owner, query.Name));
        return new DnsReply(
            (DnsResponseCode)code, IsCutShort: false, wanted, wanted.Aggregate(chain, (least, record) => Math.Min(least, record.Seconds)),
            Math.Min(soa.Seconds, soa.Number), speaksOfUs);
    }

    private static List<DnsRecord> ReadRecords(ref DnsReader reader, int count)
    {
        var records = new List<DnsRecord>();
        for (var i = 0; i < count && !reader.IsBroken; i++)
            records.Add(ReadRecord(ref reader));
        return records;
    }

    private static DnsRecord ReadRecord(ref DnsReader reader)
    {
        var owner = reader.ReadName();
        var type = (DnsRecordType)reader.ReadUInt16();
        var recordClass = reader.ReadUInt16();
        var seconds = reader.ReadUInt32();
        int length = reader.ReadUInt16();
        if (type == DnsRecordType.Opt)
        {
            reader.Take(length);
            return new DnsRecord(owner, type, seconds);
        }

        // RFC 2181 §8: a time to live with its highest bit set is zero.
        seconds = seconds > int.MaxValue ? 0 : seconds;
        var end = reader.Position + length;
        var record = new DnsRecord(owner, recordClass == DnsQuery.Internet ? type : DnsRecordType.None, seconds);
        switch (record.Type)
        {
            case DnsRecordType.A when length == 4:
            case DnsRecordType.Aaaa when length == 16:
                var octets = reader.Take(length);
                return octets.IsEmpty ? record : record with { Address = new IPAddress(octets) };
            case DnsRecordType.A or DnsRecordType.Aaaa:
                reader.Break();
                break;
            case DnsRecordType.CName:
                record = record with { Target = reader.ReadName() };
                break;
            case DnsRecordType.Mx:
                record = record with { Number = reader.ReadUInt16(), Target = reader.ReadName() };
                break;
            case DnsRecordType.Soa:
                reader.ReadName();
                reader.ReadName();
                reader.Take(4 * sizeof(uint));
                record = record with { Number = reader.ReadUInt32() };
                break;
            default:
                reader.Take(length);
                break;
        }

        if (reader.Position != end)
            reader.Break();
        return record;
    }

    /// <summary>Where the aliases lead and the least time to live among them; null when they lead round and round.</summary>
    private static (string? Owner, uint Seconds) Follow(List<DnsRecord> found, DnsQuery query)
    {
        var owner = query.Name;
        var seconds = (uint)int.MaxValue;
        for (var i = 0; i <= MaxAliases; i++)
        {
            var alias = found.Find(record => record.Type == DnsRecordType.CName && IsSame(record.Owner, owner));
            if (alias.Type != DnsRecordType.CName)
                return (owner, seconds);
            owner = alias.Target;
            seconds = Math.Min(seconds, alias.Seconds);
        }

        return (null, 0);
    }

    private static bool IsSame(string name, string other) => name.Equals(other, StringComparison.OrdinalIgnoreCase);
}
