namespace MailPipeline.Dns;

/// <summary>
/// One record of the types in <see cref="DnsRecordType"/> by where it stands in its message: nothing is copied of what is only looked at,
/// because names cost a message two octets each and would cost us a thousand characters.
/// </summary>
/// <param name="OwnerAt">Where its owner's name begins.</param>
/// <param name="Type">None for those of other classes than Internet.</param>
/// <param name="Seconds">Time to live.</param>
/// <param name="DataAt">Where its address begins, or the name of its target, or what else it holds.</param>
/// <param name="Number">Preference of an MX; MINIMUM of an SOA; of all others the octets that they hold.</param>
internal readonly record struct DnsEntry(int OwnerAt, DnsRecordType Type, uint Seconds, int DataAt = 0, uint Number = 0)
{
    /// <summary>Reads the next record, and breaks the reader when it is none.</summary>
    public static DnsEntry Read(ref DnsReader reader)
    {
        var ownerAt = reader.Position;
        reader.SkipName();
        var type = (DnsRecordType)reader.ReadUInt16();
        var recordClass = reader.ReadUInt16();
        var seconds = reader.ReadUInt32();
        int length = reader.ReadUInt16();
        if (type == DnsRecordType.Opt)
        {
            reader.Take(length);
            return new DnsEntry(ownerAt, type, seconds);
        }

        // RFC 2181 §8: a time to live with its highest bit set is zero.
        seconds = seconds > int.MaxValue ? 0 : seconds;
        type = recordClass == DnsQuery.Internet ? type : DnsRecordType.None;
        var dataAt = reader.Position;
        var end = dataAt + length;
        var number = 0u;
        switch (type)
        {
            case DnsRecordType.A when length == 4:
            case DnsRecordType.Aaaa when length == 16:
                reader.Take(length);
                break;
            case DnsRecordType.A or DnsRecordType.Aaaa:
                reader.Break();
                break;
            case DnsRecordType.CName or DnsRecordType.Ptr:
                reader.SkipName();
                break;
            case DnsRecordType.Mx:
                number = reader.ReadUInt16();
                dataAt = reader.Position;
                reader.SkipName();
                break;
            case DnsRecordType.Soa:
                reader.SkipName();
                reader.SkipName();
                reader.Take(4 * sizeof(uint));
                number = reader.ReadUInt32();
                break;
            default:
                number = (uint)length;
                reader.Take(length);
                break;
        }

        if (reader.Position != end)
            reader.Break();
        return new DnsEntry(ownerAt, type, seconds, dataAt, number);
    }
}
