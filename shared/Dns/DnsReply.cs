using System.Net;
using System.Text;

namespace MailPipeline.Dns;

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

/// <summary>What a record says.</summary>
/// <param name="Number">Preference of an MX.</param>
/// <param name="Target">Exchange of an MX; host of a PTR; where an alias leads.</param>
/// <param name="Address">Of an A or AAAA record.</param>
/// <param name="Data">The joined strings of a TXT record; all that a TLSA record holds.</param>
internal readonly record struct DnsRecord(uint Number = 0, string Target = "", IPAddress? Address = null, ReadOnlyMemory<byte> Data = default);

/// <summary>What a message that answers a question says about it, and nothing of what else is in it.</summary>
/// <param name="Records">
/// Of the type asked for, at the end of the chain of aliases, no two alike, exchanges by preference. Of exchanges and addresses there are
/// <see cref="MaxRecords"/> at most; texts and TLSA records take no more than they took of the message.
/// Exchanges that can name no host are left out when others are there; one of them says otherwise that the domain has no host.
/// </param>
/// <param name="Seconds">How long they may be remembered, the aliases on the way included.</param>
/// <param name="NegativeSeconds">How long their absence may be remembered (RFC 2308 §5).</param>
/// <param name="IsConclusive">
/// That there are no records is what the name has, and not that the server sends us to others (RFC 2308 §2.2), or speaks of other names.
/// </param>
internal sealed record DnsReply(
    DnsResponseCode Code, bool IsCutShort, IReadOnlyList<DnsRecord> Records, uint Seconds, uint NegativeSeconds, bool IsConclusive)
{
    /// <summary>
    /// No attempt at delivery looks up or tries more, and real domains have a dozen. A message has room for
    /// 4,000 exchanges, each of which can point to the same long name, and what is read is remembered.
    /// </summary>
    public const int MaxRecords = 100;

    /// <summary>Usage, selector and matching type (RFC 6698 §2.1).</summary>
    public const int TlsaHeadBytes = 3;

    // Resolvers follow 8 to 16.
    private const int MaxAliases = 16;
    private const int CutShort = 0x0200;
    private const int Authenticated = 0x0020;
    private const int CodeBits = 0x000F;

    /// <summary>The resolver says that DNSSEC vouches for all of it, absence included (RFC 4035 §3.2.3).</summary>
    public bool IsAuthenticated { get; init; }

    /// <summary>Where the aliases of the name lead, without final dot; empty where it is none, or they lead to what is no name of a host.</summary>
    public string Alias { get; init; } = "";

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
            reader.SkipName();
            reader.ReadUInt32();
        }

        var found = ReadEntries(ref reader, answers);
        var behind = ReadEntries(ref reader, authorities);
        foreach (var entry in ReadEntries(ref reader, others))
        {
            // The OPT record's time to live holds the upper bits of the code.
            if (entry.Type == DnsRecordType.Opt)
                code |= entry.Seconds >> 24 << 4;
        }

        if (reader.IsBroken)
            return null;
        // RFC 2308 §2.2: servers without an SOA and without other servers behind the answer say that there is nothing else.
        var isWhole = behind.Exists(entry => entry.Type == DnsRecordType.Soa) || !behind.Exists(entry => entry.Type == DnsRecordType.Ns);
        var speaksOfUs = found.Count == 0 || Owned(reader, found.FindAll(entry => entry.Type != DnsRecordType.None), query.Name).Count > 0;
        Span<byte> owner = stackalloc byte[DnsName.MaxBytes];
        query.Name.CopyTo(owner);
        var length = query.Name.Length;
        uint seconds = int.MaxValue;
        // Who asks for the alias itself is not sent on.
        if (query.Type != DnsRecordType.CName && !Follow(reader, found, owner, query.Name.Length, out length, out seconds))
            return null;
        var wanted = Owned(reader, found.FindAll(entry => entry.Type == query.Type), owner[..length]);
        var soa = behind.Find(entry => entry.Type == DnsRecordType.Soa);
        if (RecordsOf(reader, wanted, query.Type) is not { } records)
            return null;
        return new DnsReply(
            (DnsResponseCode)code, IsCutShort: false, records,
            wanted.Aggregate(seconds, (least, entry) => Math.Min(least, entry.Seconds)), Math.Min(soa.Seconds, soa.Number),
            // RFC 2308 §2.1: NXDOMAIN may come with other servers behind it.
            speaksOfUs && (isWhole || code == (uint)DnsResponseCode.NoSuchName))
        {
            IsAuthenticated = (flags & Authenticated) != 0,
            Alias = DnsName.AreSame(owner[..length], query.Name) || !DnsName.IsPlain(owner[..length]) ? "" : DnsName.TextOf(owner[..length]),
        };
    }

    private static List<DnsEntry> ReadEntries(ref DnsReader reader, int count)
    {
        var entries = new List<DnsEntry>();
        for (var i = 0; i < count && !reader.IsBroken; i++)
            entries.Add(DnsEntry.Read(ref reader));
        return entries;
    }

    private static List<DnsEntry> Owned(DnsReader reader, List<DnsEntry> entries, ReadOnlySpan<byte> owner)
    {
        var owned = new List<DnsEntry>();
        Span<byte> name = stackalloc byte[DnsName.MaxBytes];
        foreach (var entry in entries)
        {
            if (DnsName.AreSame(name[..reader.At(entry.OwnerAt).ReadName(name)], owner))
                owned.Add(entry);
        }

        return owned;
    }

    /// <summary>Follows the aliases of a name, which is overwritten by where they lead. False: they lead round and round.</summary>
    /// <param name="seconds">The least time to live among them.</param>
    private static bool Follow(DnsReader reader, List<DnsEntry> found, Span<byte> owner, int ownerLength, out int length, out uint seconds)
    {
        length = ownerLength;
        seconds = int.MaxValue;
        var aliases = found.FindAll(entry => entry.Type == DnsRecordType.CName);
        for (var i = 0; i <= MaxAliases; i++)
        {
            if (Owned(reader, aliases, owner[..length]) is not [var alias, ..])
                return true;
            length = reader.At(alias.DataAt).ReadName(owner);
            seconds = Math.Min(seconds, alias.Seconds);
        }

        return false;
    }

    /// <summary>Null: one of them is none of its type.</summary>
    private static List<DnsRecord>? RecordsOf(DnsReader reader, List<DnsEntry> wanted, DnsRecordType type) => type switch
    {
        DnsRecordType.Mx => Exchanges(reader, wanted),
        DnsRecordType.Ptr or DnsRecordType.CName => Hosts(reader, wanted),
        DnsRecordType.Txt or DnsRecordType.Tlsa => Contents(reader, wanted, type),
        _ => Addresses(reader, wanted, type),
    };

    private static List<DnsRecord> Exchanges(DnsReader reader, List<DnsEntry> wanted)
    {
        var best = new List<DnsRecord>();
        var hosts = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var known = hosts.GetAlternateLookup<ReadOnlySpan<char>>();
        DnsEntry? other = null;
        Span<byte> name = stackalloc byte[DnsName.MaxBytes];
        Span<char> text = stackalloc char[DnsName.MaxChars];
        foreach (var entry in wanted.OrderBy(entry => entry.Number))
        {
            var length = reader.At(entry.DataAt).ReadName(name);
            if (!DnsName.IsPlain(name[..length]))
            {
                other ??= entry;
                continue;
            }

            length = DnsName.Write(name[..length], text);
            if (known.Contains(text[..length]))
                continue;
            var host = text[..length].ToString();
            hosts.Add(host);
            best.Add(new DnsRecord(entry.Number, host));
            if (best.Count == MaxRecords)
                break;
        }

        // The root is no host either.
        if (other is { } unusable && best.TrueForAll(record => record.Target.Length == 0))
        {
            var length = reader.At(unusable.DataAt).ReadName(name);
            best.Add(new DnsRecord(unusable.Number, text[..DnsName.Write(name[..length], text)].ToString()));
        }

        return best;
    }

    /// <summary>Names that can be none of a host are left out: nothing could be asked about them.</summary>
    private static List<DnsRecord> Hosts(DnsReader reader, List<DnsEntry> wanted)
    {
        var hosts = new List<DnsRecord>();
        var known = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        Span<byte> name = stackalloc byte[DnsName.MaxBytes];
        Span<char> text = stackalloc char[DnsName.MaxChars];
        foreach (var entry in wanted)
        {
            var length = reader.At(entry.DataAt).ReadName(name);
            if (length == 0 || !DnsName.IsPlain(name[..length]))
                continue;
            var host = text[..DnsName.Write(name[..length], text)].ToString();
            if (known.Add(host))
                hosts.Add(new DnsRecord(Target: host));
            if (hosts.Count == MaxRecords)
                break;
        }

        return hosts;
    }

    private static List<DnsRecord> Addresses(DnsReader reader, List<DnsEntry> wanted, DnsRecordType type)
    {
        var some = new HashSet<IPAddress>();
        foreach (var entry in wanted)
        {
            some.Add(new IPAddress(reader.At(entry.DataAt).Take(type == DnsRecordType.A ? 4 : 16)));
            if (some.Count == MaxRecords)
                break;
        }

        return [.. some.Select(address => new DnsRecord(Address: address))];
    }

    private static List<DnsRecord>? Contents(DnsReader reader, List<DnsEntry> wanted, DnsRecordType type)
    {
        var contents = new List<DnsRecord>();
        // Latin-1 gives each octet a character of its own.
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in wanted)
        {
            var held = reader.At(entry.DataAt).Take((int)entry.Number).ToArray();
            if (type == DnsRecordType.Txt ? !TryJoin(ref held) : held.Length < TlsaHeadBytes)
                return null;
            if (known.Add(Encoding.Latin1.GetString(held)))
                contents.Add(new DnsRecord(Data: held));
        }

        return contents;
    }

    /// <summary>RFC 1035 §3.3.14: strings, each behind its length. They are joined in their place. False: the last one has no end.</summary>
    private static bool TryJoin(ref byte[] strings)
    {
        var joined = 0;
        for (var at = 0; at < strings.Length;)
        {
            int length = strings[at++];
            if (length > strings.Length - at)
                return false;
            strings.AsSpan(at, length).CopyTo(strings.AsSpan(joined));
            joined += length;
            at += length;
        }

        Array.Resize(ref strings, joined);
        return true;
    }
}
