using System.Xml;
using System.Xml.Schema;

namespace MailPipeline.Testing;

/// <summary>
/// The schema of aggregate reports (RFC 7489, appendix C): names, order and values. Its types have no namespace, as the reports of the world; a dot in its pattern
/// of IPv4 is one.
/// </summary>
public static class DmarcSchema
{
    private const string Text =
        """
        <xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
          <xs:simpleType name="Alignment"><xs:restriction base="xs:string"><xs:pattern value="r|s"/></xs:restriction></xs:simpleType>
          <xs:simpleType name="Disposition"><xs:restriction base="xs:string"><xs:pattern value="none|quarantine|reject"/></xs:restriction></xs:simpleType>
          <xs:simpleType name="Evaluation"><xs:restriction base="xs:string"><xs:pattern value="pass|fail"/></xs:restriction></xs:simpleType>
          <xs:simpleType name="Override"><xs:restriction base="xs:string">
            <xs:pattern value="forwarded|sampled_out|trusted_forwarder|mailing_list|local_policy|other"/></xs:restriction></xs:simpleType>
          <xs:simpleType name="Address"><xs:restriction base="xs:string">
            <xs:pattern value="((1?[0-9]?[0-9]|2[0-4][0-9]|25[0-5])\.){3}(1?[0-9]?[0-9]|2[0-4][0-9]|25[0-5])|([A-Fa-f0-9]{1,4}:){7}[A-Fa-f0-9]{1,4}"/>
          </xs:restriction></xs:simpleType>
          <xs:simpleType name="DkimResult"><xs:restriction base="xs:string">
            <xs:pattern value="none|pass|fail|policy|neutral|temperror|permerror"/></xs:restriction></xs:simpleType>
          <xs:simpleType name="SpfResult"><xs:restriction base="xs:string">
            <xs:pattern value="none|neutral|pass|fail|softfail|temperror|permerror"/></xs:restriction></xs:simpleType>
          <xs:simpleType name="SpfScope"><xs:restriction base="xs:string"><xs:pattern value="helo|mfrom"/></xs:restriction></xs:simpleType>

          <xs:complexType name="Metadata"><xs:sequence>
            <xs:element name="org_name" type="xs:string"/>
            <xs:element name="email" type="xs:string"/>
            <xs:element name="extra_contact_info" type="xs:string" minOccurs="0"/>
            <xs:element name="report_id" type="xs:string"/>
            <xs:element name="date_range"><xs:complexType><xs:all>
              <xs:element name="begin" type="xs:integer"/>
              <xs:element name="end" type="xs:integer"/>
            </xs:all></xs:complexType></xs:element>
            <xs:element name="error" type="xs:string" minOccurs="0" maxOccurs="unbounded"/>
          </xs:sequence></xs:complexType>

          <xs:complexType name="Published"><xs:all>
            <xs:element name="domain" type="xs:string"/>
            <xs:element name="adkim" type="Alignment" minOccurs="0"/>
            <xs:element name="aspf" type="Alignment" minOccurs="0"/>
            <xs:element name="p" type="Disposition"/>
            <xs:element name="sp" type="Disposition"/>
            <xs:element name="pct" type="xs:integer"/>
            <xs:element name="fo" type="xs:string"/>
          </xs:all></xs:complexType>

          <xs:complexType name="Row"><xs:all>
            <xs:element name="source_ip" type="Address"/>
            <xs:element name="count" type="xs:integer"/>
            <xs:element name="policy_evaluated"><xs:complexType><xs:sequence>
              <xs:element name="disposition" type="Disposition"/>
              <xs:element name="dkim" type="Evaluation"/>
              <xs:element name="spf" type="Evaluation"/>
              <xs:element name="reason" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:all>
                <xs:element name="type" type="Override"/>
                <xs:element name="comment" type="xs:string" minOccurs="0"/>
              </xs:all></xs:complexType></xs:element>
            </xs:sequence></xs:complexType></xs:element>
          </xs:all></xs:complexType>

          <xs:complexType name="Identifiers"><xs:all>
            <xs:element name="envelope_to" type="xs:string" minOccurs="0"/>
            <xs:element name="envelope_from" type="xs:string"/>
            <xs:element name="header_from" type="xs:string"/>
          </xs:all></xs:complexType>

          <xs:complexType name="Results"><xs:sequence>
            <xs:element name="dkim" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:all>
              <xs:element name="domain" type="xs:string"/>
              <xs:element name="selector" type="xs:string" minOccurs="0"/>
              <xs:element name="result" type="DkimResult"/>
              <xs:element name="human_result" type="xs:string" minOccurs="0"/>
            </xs:all></xs:complexType></xs:element>
            <xs:element name="spf" maxOccurs="unbounded"><xs:complexType><xs:all>
              <xs:element name="domain" type="xs:string"/>
              <xs:element name="scope" type="SpfScope"/>
              <xs:element name="result" type="SpfResult"/>
            </xs:all></xs:complexType></xs:element>
          </xs:sequence></xs:complexType>

          <xs:element name="feedback"><xs:complexType><xs:sequence>
            <xs:element name="version" type="xs:decimal"/>
            <xs:element name="report_metadata" type="Metadata"/>
            <xs:element name="policy_published" type="Published"/>
            <xs:element name="record" maxOccurs="unbounded"><xs:complexType><xs:sequence>
              <xs:element name="row" type="Row"/>
              <xs:element name="identifiers" type="Identifiers"/>
              <xs:element name="auth_results" type="Results"/>
            </xs:sequence></xs:complexType></xs:element>
          </xs:sequence></xs:complexType></xs:element>
        </xs:schema>
        """;

    /// <summary>What is wrong with a report; none: it is as the RFC has it.</summary>
    public static IReadOnlyList<string> Check(Stream report)
    {
        List<string> faults = [];
        var settings = new XmlReaderSettings { ValidationType = ValidationType.Schema };
        using var text = XmlReader.Create(new StringReader(Text));
        settings.Schemas.Add(null, text);
        settings.ValidationFlags |= XmlSchemaValidationFlags.ReportValidationWarnings;
        settings.ValidationEventHandler += (_, found) => faults.Add(found.Message);
        using var xml = XmlReader.Create(report, settings);
        while (xml.Read())
        {
        }

        return faults;
    }
}
